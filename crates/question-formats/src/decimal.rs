//! Exact decimal numbers as texts.

use crate::{Credit, FULL};

const MAX_DIGITS: usize = 30;

/// `units / 10^scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal {
    units: i128,
    scale: u32,
}

impl Decimal {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = sign(text.trim());
        let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (digits, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let significant = digits.trim_start_matches('0');
        if !plain || significant.len() > MAX_DIGITS || fraction.len() > MAX_DIGITS {
            return None;
        }
        let units = if significant.is_empty() {
            0
        } else {
            significant.parse::<i128>().ok()?
        };
        let units = if negative { -units } else { units };
        let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        if let Ok(scale) = u32::try_from(scale) {
            return (scale as usize <= MAX_DIGITS).then_some(Self { units, scale });
        }
        let units = units.checked_mul(ten_to(scale.unsigned_abs())?)?;
        (units.unsigned_abs() < 10_u128.pow(MAX_DIGITS as u32)).then_some(Self { units, scale: 0 })
    }

    /// The middle and the half width of a range; `None` when it is empty or its numbers are too long.
    pub(crate) fn middle(low: Self, high: Self) -> Option<(Self, Self)> {
        let scale = low.scale.max(high.scale);
        let (low, high) = (low.at(scale)?, high.at(scale)?);
        let sum = Self {
            units: low.checked_add(high)?,
            scale,
        };
        let width = Self {
            units: high.checked_sub(low)?,
            scale,
        };
        if width.units < 0 {
            return None;
        }
        Some((sum.half()?, width.half()?))
    }

    fn half(self) -> Option<Self> {
        Some(Self {
            units: self.units.checked_mul(5)?,
            scale: self.scale + 1,
        })
    }

    /// So many hundredths of this number, without its sign.
    pub(crate) fn percent(self, percent: Self) -> Option<Self> {
        Some(Self {
            units: self.units.checked_mul(percent.units)?.checked_abs()?,
            scale: self.scale + percent.scale + 2,
        })
    }

    /// `10^-places / 2`, how far a number may be off that is right when rounded.
    pub(crate) fn half_unit(places: u32) -> Option<Self> {
        (places < 28).then_some(Self {
            units: 5,
            scale: places + 1,
        })
    }

    /// Rounded to so many places, as a whole number of them.
    pub(crate) fn rounded(self, places: u32) -> Option<i64> {
        if self.scale <= places {
            return i64::try_from(self.at(places)?).ok();
        }
        let divisor = ten_to(self.scale - places)?;
        let half = if self.units < 0 {
            -(divisor / 2)
        } else {
            divisor / 2
        };
        i64::try_from(self.units.checked_add(half)? / divisor).ok()
    }

    fn at(self, scale: u32) -> Option<i128> {
        self.units.checked_mul(ten_to(scale.checked_sub(self.scale)?)?)
    }

    /// Without zeros at the end; `None` when it would be longer than a text that can be read.
    pub(crate) fn text(self) -> Option<String> {
        let (mut units, mut scale) = (self.units, self.scale);
        while scale > 0 && units % 10 == 0 {
            units /= 10;
            scale -= 1;
        }
        let digits = format!("{:0>width$}", units.unsigned_abs(), width = scale as usize + 1);
        let (whole, fraction) = digits.split_at_checked(digits.len() - scale as usize)?;
        let sign = if units < 0 { "-" } else { "" };
        let point = if fraction.is_empty() { "" } else { "." };
        let short = fraction.len() <= MAX_DIGITS && whole.len() <= MAX_DIGITS;
        short.then(|| format!("{sign}{whole}{point}{fraction}"))
    }
}

fn ten_to(power: u32) -> Option<i128> {
    10_i128.checked_pow(power)
}

fn sign(text: &str) -> (bool, &str) {
    if let Some(rest) = text.strip_prefix(['-', '\u{2212}']) {
        return (true, rest);
    }
    (false, text.strip_prefix('+').unwrap_or(text))
}

/// The one way a number is written: no plus, no exponent, digits on both sides of a point, no needless zeros in
/// front. Zeros at the end stay, as they tell how exact the author was.
pub(crate) fn normal(text: &str) -> Option<String> {
    let text = text.trim();
    let number = Decimal::parse(text)?;
    if text.contains(['e', 'E']) {
        return number.text();
    }
    let (_, digits) = sign(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let sign = if number.units < 0 { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{sign}{whole}{point}{fraction}"))
}

/// `33.33333` (of a hundred) as a credit.
pub(crate) fn credit_of_percent(text: &str) -> Option<Credit> {
    let hundredths = Decimal::parse(text)?.rounded(2)?;
    Some(Credit::try_from(hundredths.clamp(-i64::from(FULL), i64::from(FULL))).unwrap_or(0))
}

/// `2.5` points as 2500 thousandths.
pub(crate) fn thousandths(text: &str) -> Option<u32> {
    u32::try_from(Decimal::parse(text)?.rounded(3)?).ok()
}

/// Millionths, fine enough to compare scores.
pub(crate) fn millionths(text: &str) -> Option<i64> {
    Decimal::parse(text)?.rounded(6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(low: &str, high: &str) -> (String, String) {
        let (low, high) = (Decimal::parse(low).unwrap(), Decimal::parse(high).unwrap());
        let (middle, half) = Decimal::middle(low, high).unwrap();
        (middle.text().unwrap(), half.text().unwrap())
    }

    #[test]
    fn a_number_is_written_in_one_way() {
        let cases = [
            ("+5", "5"),
            (".50", "0.50"),
            ("-007.", "-7"),
            ("-0.0", "0.0"),
            ("1e-3", "0.001"),
            ("1.5E3", "1500"),
        ];
        for (source, normal_text) in cases {
            assert_eq!(normal(source).as_deref(), Some(normal_text), "{source}");
            assert_eq!(normal(normal_text).as_deref(), Some(normal_text));
        }
        for wrong in [
            "",
            ".",
            "-",
            "1,5",
            "1e",
            "1e99",
            "abc",
            "1.2.3",
            "٣",
            "1e2147483648",
            "1e-2147483648",
        ] {
            assert_eq!(normal(wrong), None, "{wrong}");
        }
        assert_eq!(normal(&"9".repeat(31)), None);
    }

    #[test]
    fn a_range_is_a_middle_and_a_distance() {
        assert_eq!(range("1", "5"), ("3".to_owned(), "2".to_owned()));
        assert_eq!(
            range("3.141", "3.142"),
            ("3.1415".to_owned(), "0.0005".to_owned())
        );
        assert_eq!(range("-5", "4"), ("-0.5".to_owned(), "4.5".to_owned()));
        let (five, one) = (Decimal::parse("5").unwrap(), Decimal::parse("1").unwrap());
        assert_eq!(Decimal::middle(five, one), None);
    }

    #[test]
    fn scores_are_rounded() {
        assert_eq!(credit_of_percent("33.33333"), Some(3333));
        assert_eq!(credit_of_percent("-66.66667"), Some(-6667));
        assert_eq!(credit_of_percent("250"), Some(FULL));
        assert_eq!(thousandths("1.0000000"), Some(1000));
        assert_eq!(thousandths("-1"), None);
        assert_eq!(
            Decimal::parse("4.136")
                .unwrap()
                .percent(Decimal::parse("5.0").unwrap())
                .unwrap()
                .text()
                .unwrap(),
            "0.2068"
        );
        assert_eq!(Decimal::half_unit(2).unwrap().text().unwrap(), "0.005");
    }
}
