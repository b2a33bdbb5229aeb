//! Numbers against the standard library, and against what JavaScript says where that differs.

use proptest::prelude::*;

use super::*;

fn text(number: f64) -> String {
    let mut out = String::new();
    write(number, &mut out);
    out
}

/// By the standard library, in the form of ECMAScript.
fn expected(number: f64) -> String {
    even(number, by_std(number))
}

fn by_std(number: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    if (1e-6..1e21).contains(&number.abs()) {
        return format!("{number}");
    }
    let text = format!("{number:e}");
    if text.contains("e-") { text } else { text.replace('e', "e+") }
}

/// Half-way between two shortest texts JavaScript takes the even one, the standard library the larger one.
fn even(number: f64, of_std: String) -> String {
    let ours = text(number);
    let digits = |text: &str| text.split('e').next().unwrap_or_default().replace(['.', '-'], "").parse::<u64>();
    match (digits(&ours), digits(&of_std)) {
        (Ok(mine), Ok(theirs))
            if mine + 1 == theirs && mine % 2 == 0 && Decimal::of(number.abs().to_bits()).digits.last() == Some(&5) =>
        {
            ours
        }
        _ => of_std,
    }
}

#[test]
fn hard_numbers_are_read_and_written_exactly() {
    let halves = ["9007199254740993", "1e23", "8.5e-324", "2.4703282292062327208e-324", "5e-324", "1e-400"];
    let large = ["1.7976931348623157e308", "1.7976931348623158e308", "1.7976931348623159e308", "1e400", "1e999999"];
    let long = ["0.30000000000000004", "123456789012345678901234567890", "0.000001", "0.0000001", "1e21", "1e-7"];
    for case in halves.into_iter().chain(large).chain(long) {
        assert_eq!(parse(case), case.parse::<f64>().expect("a number"), "{case}");
    }
    for power in -1074..1024 {
        let number = 2_f64.powi(power);
        assert_eq!(text(number), expected(number), "2^{power}");
    }
    assert_eq!(text(2_f64.powi(-25)), "2.9802322387695312e-8");
}

#[test]
fn what_is_no_number_is_written_as_javascript_does() {
    assert_eq!([f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0].map(text), ["null", "null", "null", "0"]);
}

proptest! {
    #[test]
    fn any_number_is_written_as_ecmascript_does_and_read_back(bits in any::<u64>()) {
        let number = f64::from_bits(bits);
        prop_assume!(number.is_finite() && number != 0.0);
        prop_assert_eq!(text(number), expected(number));
        prop_assert_eq!(parse(&text(number)), number);
    }

    #[test]
    fn prices_and_measures_too(digits in 0_i64..10_000_000_000_000_000, scale in 0..20) {
        let number = digits as f64 / 10_f64.powi(scale);
        prop_assert_eq!(text(number), expected(number));
        prop_assert_eq!(parse(&text(number)), number);
    }

    #[test]
    fn any_digits_are_read_as_the_standard_library_reads_them(
        whole in "-?(0|[1-9][0-9]{0,25})",
        fraction in "(\\.[0-9]{1,25})?",
        power in "(e[+-]?[0-9]{1,3})?",
    ) {
        let number = format!("{whole}{fraction}{power}");
        prop_assert_eq!(parse(&number), number.parse::<f64>().expect("a number"));
    }
}
