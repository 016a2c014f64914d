"""A recipient's number: read only when it can't be another one than was written, else refused for what is there."""

from __future__ import annotations

import string
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from zsms.sources import numbers
from zsms.sources.numbers import BadFieldError, all_right, country_code, is_valid, plans, read_number

READ = {
    "+13705550100": 13705550100,
    "+1 370 555 0100": 13705550100,
    "+1-370-555-0100": 13705550100,
    "+1.370.555.0100": 13705550100,
    "+1 (370) 555-0100": 13705550100,
    "+1(370)5550100": 13705550100,
    "+1.3705550100": 13705550100,
    "+49.151.12345678": 4915112345678,
    "+49.15112345678": 4915112345678,
    "+49 151 12345678": 4915112345678,
    "+33.6.00.00.00.00": 33600000000,
    "+33 6 12 34 56 78": 33612345678,
    "+39 06 1234567": 39061234567,
    "+225 01 23 45 67 89": 2250123456789,
    "+44 7700 900123": 447700900123,
    # as spreadsheets, contact books and word processors write them
    "\u202a+13705550100\u202c": 13705550100,
    "\u2066+1 370 555 0100\u2069": 13705550100,
    "\u200e+13705550100\u200f": 13705550100,
    "\ufeff+13705550100": 13705550100,
    "+1370\u00a05550100": 13705550100,
    "+1\u202f370\u202f5550101": 13705550101,
    "+1\u2007370\u30005550101": 13705550101,
    "+1-370-555\u20100100": 13705550100,
    "+1\u2011370\u2013555\u22120100": 13705550100,
    "\t+13705550100 ": 13705550100,
    "+1 370  555 0100": 13705550100,
    "'+13705550100": 13705550100,
    "\u2019+13705550100": 13705550100,
    '="+13705550100"': 13705550100,
    "\u202a'+13705550100\u202c": 13705550100,
    "+2010 1128 1000": 201011281000,
    "+20101128 1000": 201011281000,
    " +202611281000": 202611281000,
    "+20 10 11 28 10 00": 201011281000,
}

REFUSED = {
    "decimal tail": ["+13705550100.0", "+13705550100.00", "+13705550100.", "+49.151.12345678.0", "+4915112345678.5",
                     "+33.600000000.00", "13705550100.0", "13705550100,00", "+13705550100,0"],
    "decimal point": ["+4.915112345678", "+49151.12345678", "+1370555.0100", "+1 370 555.0100"],
    "last digits are lost": ["1.37E+10", "+1.37E+10", "1,37E+10", "1.3705550100E10", "137E+8", "1.37e10"],
    "has a 0 in parentheses": ["+1(0)3705550100", "+1 (0) 3705550100", "+1 ( 0 ) 3705550100", "+44 (0 )20 7946 0000",
                               "+44( 0)2079460000", "+44 [0] 20 7946 0000", "+44\u00a0(\u00a00\u00a0)\u00a0207946000"],
    "begins with 0 in parentheses": ["+44 (020) 7946 0000", "+39 (06) 1234567", "+44 (0207) 946 000"],
    "has a 0 behind +44": ["+440207946000", "+44 020 794 6000", "+44 0 207946000"],
    "an extension": ["+1 370-555-0100 x12", "+13705550100x12", "+1 370-555-0100 ext. 12", "+13705550100;ext=12",
                     "+13705550100#12", "+1 370-555-0100 (12)", "+1 370 555 0100 (ext 5)",
                     "+1 370 555 0100 Ext", "+44 20 7946 0000 (12)", "+44 20 7946 0000-02",
                     "+13705550100 EXTN 4", "+13705550100p12", "+13705550100 extension 12"],
    "seems to be a date": ["+2026 11 28 10 00", "+2026-11-28 1000", "+2026.11.28 10.00", "+2026 11 28 10 00 00",
                           "+30 11 2026 10 00", "+31-12-2026 2359", "+20261128 1000"],
    "a date": ["+2026-11-28", "+28.11.2026", "+30-11-2026", "+31 12 2026", "+30 11 2026"],
    "something behind the number": ["+4915112345678 79", "+491511234567 679", "+491511234567-0", "+35840123456 7 8",
                                    "+447912345678 447912345679"],
    "seems to have an extension": ["+49 151 1234567 12", "+49-151-1234567-1", "+49 151 1234567-12", "+49 151123456 1"],
    "no country code +999": ["+999 123 4567"],
    "a number of +36 has 11 at most": ["+36 06 20 123 4567"],
    "has 13 digits": ["+1 370-555-0100-02", "+1370555010002"],
    "has 15 digits": ["+1 370 555 0100 0101"],
    "has 9 digits": ["+1 370 555 01"],
    "several numbers": ["+13705550100/+13705550101", "+13705550100 +13705550101", "+13705550100, 3705550101",
                        "+1 370-555-0100 ::: +1 370-555-0101", "+13705550100 or +13705550101",
                        "+13705550100;13705550101",
                        "+13705550100 / 0101", "+13705550100|13705550101", "+13705550100 & 13705550101"],
    "separator too many": ["+-1-370.", "++13705550100", "+ 13705550100", "+1 370--555 0100", "+1..370.555.0100",
                           "+13705550100-", "-+13705550100", "+1 370 - 555 - 0100", "+1()3705550100",
                           "(+1) 3705550100"],
    "parentheses": ["+1 370 (555) 0100", "+1 (370 555 0100", "+1 370) 555 0100", "+1370(555)0100",
                    "+1 (37) (05) 550100"],
    "line break or a tab": ["+1370555\n0100", "+1370555\t0100", "+13705550100\r\n+13705550101"],
    "digits that are not 0 to 9": ["+\u0661\u0663\u0667\u0660\u0665\u0665\u0665\u0660\u0661\u0660\u0660",
                                   "+1\uff133705550100", "+1\u00b2370555010", "+137055501\u2460"],
    "another sign than a plus": ["\uff0b13705550100", "\u207a13705550100"],
    "not seen (U+200E)": ["+1370\u200e5550100"],
    "not seen (U+200B)": ["+1370\u200b5550100"],
    "not seen (U+00AD)": ["+1370\u00ad5550100"],
    "shows digits backwards": ["\u202e+13705550100", "+1370\u202e5550100\u202c", "+13705550100\u202e"],
    "write + in place of 011": ["01149 151 12345678", "011 49 151 12345678"],
    "write + in place of 0011": ["0011 61 412 345 678"],
    "its plus at the end": ["13705550100+", "1 370 555 0100 +"],
    "something behind the number (;phone-context=)": ["+13705550100;phone-context=+1"],
    "written as in HTML (&#43;)": ["&#43;13705550100"],
    "written as in an address (%2B)": ["%2B13705550100"],
    "write + in place of 00": ["0013705550100", "00 1 370 555 0100"],
    "is a formula": ["=13705550100", "=TEXT(A1;0)", "=+13705550100"],
    "country's code are missing": ["13705550100", "(370) 555-0100", "3705550100", "0370 555 0100"],
    "no country's code begins with 0": ["+03702000000", "+0013705550100"],
    "has commas in it": ["+13,705,550,100", "13,705,550,100.00"],
    "has letters": ["N/A", "none", "+1370555010O", "+1 370 FLOWERS", "+1 370 555 0100 home", "l3705550100"],
    "instead of a value": ["######", "#N/A", "#REF!"],
    "begins with 'tel:'": ["tel:+13705550100"],
    "is empty": ["", " ", "\u00a0", "'", "\u200e"],
    "not 7 to 15": ["+1", "+49", "+234567", "+4915112345678901"],
    "no area code begins with 1": ["+1 170 555 0100"],
    "not '_'": ["+1_370_555_0100"],
    "100 characters": ["+1" * 50, "\u200e" * 100],
}  # fmt: skip


@pytest.fixture(params=["rules alone", "phonenumbers"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """With the extra `numbers`, and as without it."""
    if request.param == "phonenumbers":
        pytest.importorskip("phonenumbers")
    else:
        monkeypatch.setattr(numbers, "metadata", lambda: None)
    numbers.wrong_size.cache_clear()
    yield
    numbers.wrong_size.cache_clear()


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize(("written", "number"), READ.items(), ids=map(ascii, READ))
def test_reads(written: str, number: int) -> None:
    assert read_number(written) == number


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize(
    ("written", "reason"),
    [(written, reason) for reason, some in REFUSED.items() for written in some],
    ids=[ascii(written)[:40] for some in REFUSED.values() for written in some],
)
def test_refuses_by_what_is_there(written: str, reason: str) -> None:
    with pytest.raises(BadFieldError) as caught:
        read_number(written)
    assert reason in str(caught.value)
    assert len(str(caught.value)) < 250 and str(caught.value).isprintable()


@pytest.mark.parametrize("value", [13705550100, 13705550100.0, None, True, ["+13705550100"], {"a": 1}])
def test_refuses_what_is_no_text(value: object) -> None:
    with pytest.raises(BadFieldError, match="is no text"):
        read_number(value)


_WRITTEN = st.text("0123456789 -.()+\u00a0\u2010'x/,;E#\t\u202a", max_size=24)


@given(st.one_of(_WRITTEN, _WRITTEN.map("+".__add__), st.text(max_size=20)))
def test_what_is_read_has_the_digits_that_were_written(written: str) -> None:
    try:
        number = read_number(written)
    except BadFieldError:
        return
    assert str(number) == "".join(c for c in written if c in string.digits)
    assert "+" in written and not set(written) & set("x/,;E#")


@given(
    st.integers(10**6, 10**15 - 1).map(lambda number: f"+{number}"),
    st.sampled_from(
        [".0", ".00", ".5", " x1", "x12", " ext 3", "/1", ",1", "-", ".", "--1", " (1)", ";1", "E+3", " +1"]
    ),
)
def test_a_tail_is_never_part_of_the_number(number: str, tail: str) -> None:
    with pytest.raises(BadFieldError):
        read_number(number + tail)


@given(st.lists(st.one_of(st.integers(0, 10**16), st.integers(10**9, 10**13))))
def test_columns_and_single_numbers_are_judged_alike(some: list[int]) -> None:
    def right(number: int) -> bool:
        try:
            return read_number(f"+{number}") == number
        except BadFieldError:
            return False

    assert all_right(np.array(some, dtype=np.uint64)).tolist() == [right(number) for number in some]


# -- beside phonenumbers -----------------------------------------------------------------------------------------


def test_country_codes_are_those_that_are_assigned() -> None:
    pytest.importorskip("phonenumbers")
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

    assert len(COUNTRY_CODE_TO_REGION_CODE) > 200
    for code in map(str, COUNTRY_CODE_TO_REGION_CODE):
        assert country_code(f"{code}2345678") == code


def test_no_country_that_writes_a_0_is_refused_one() -> None:
    phonenumbers = pytest.importorskip("phonenumbers")
    for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items():
        if str(code) not in numbers.TRUNK_ZERO:
            continue
        for region in regions:
            plan = phonenumbers.PhoneMetadata.metadata_for_region(region)
            assert plan.national_prefix == "0"
            for kind in (plan.fixed_line, plan.mobile):
                assert not kind.example_number or not kind.example_number.startswith("0")


def test_lengths_leave_room_for_every_number_that_is_possible() -> None:
    phonenumbers = pytest.importorskip("phonenumbers")
    assert set(map(str, phonenumbers.COUNTRY_CODE_TO_REGION_CODE)) == set(numbers.LONGEST)
    for code, most in {**numbers.LONGEST, **numbers.EXACT}.items():
        for region in phonenumbers.COUNTRY_CODE_TO_REGION_CODE[int(code)]:
            plan = phonenumbers.PhoneMetadata.metadata_for_region(region)
            plan = plan or phonenumbers.PhoneMetadata.metadata_for_nongeo_region(int(code))
            for kind in filter(None, (plan.fixed_line, plan.mobile)):
                longest = max((length for length in kind.possible_length if length > 0), default=0)
                assert min(longest + len(code), numbers.MAX_DIGITS) <= most


def test_every_example_of_every_country_is_read() -> None:
    phonenumbers = pytest.importorskip("phonenumbers")
    form = phonenumbers.PhoneNumberFormat
    for region in phonenumbers.SUPPORTED_REGIONS:
        for kind in (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE):
            example = phonenumbers.example_number_for_type(region, kind)
            if example is None:
                continue
            plain = phonenumbers.format_number(example, form.E164)
            if len(plain) < 8:
                continue
            assert read_number(plain) == int(plain)
            assert is_valid(int(plain))


@pytest.mark.parametrize(
    ("number", "reason"),
    [("+99912345678", "no country code +999"), ("+4412345", "inside an area only"), ("+4512345", "too few")],
)
def test_a_length_that_a_country_does_not_have_is_impossible(number: str, reason: str) -> None:
    pytest.importorskip("phonenumbers")
    with pytest.raises(BadFieldError, match="is impossible") as caught:
        read_number(number)
    assert reason in str(caught.value)
    assert plans() is not None


def test_a_number_made_for_fiction_is_possible_though_nobody_has_it() -> None:
    pytest.importorskip("phonenumbers")
    assert read_number("+447700900123") == 447700900123
    assert not is_valid(447700900123)


@given(st.integers(10**6, 10**15 - 1))
def test_what_the_package_refuses_is_refused(number: int) -> None:
    phonenumbers = pytest.importorskip("phonenumbers")
    try:
        parsed = phonenumbers.parse(f"+{number}")
        possible = phonenumbers.is_possible_number(parsed)
    except phonenumbers.NumberParseException:
        possible = False
    assume(not possible)
    with pytest.raises(BadFieldError):
        read_number(f"+{number}")
