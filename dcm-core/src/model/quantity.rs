//! Kubernetes quantities: <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>.

/// Why a text is not a quantity.
const RULE: &str = "must be a Kubernetes quantity, such as \"4\", \"500m\", \"1.5\", \"10Gi\" or \"1e3\"";

/// A checked quantity: its sign, its rough size, and whether it is a whole number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Quantity {
    pub(crate) negative: bool,
    pub(crate) whole: bool,
    /// As near as a floating-point number comes.
    pub(crate) value: f64,
}

/// What a suffix multiplies by.
#[derive(Clone, Copy)]
enum Scale {
    /// A power of ten.
    Ten(i32),
    /// A power of 1024.
    Kibi(u32),
}

/// Checks a quantity.
pub(crate) fn parse(text: &str) -> Result<Quantity, String> {
    let bad = || format!("{text:?} is not a quantity; it {RULE}");
    if text.len() > 36 {
        return Err(format!("is longer than 36 characters; it {RULE}"));
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let (integer, fraction) = number.split_once('.').unwrap_or((number, ""));
    if integer.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return Err(bad());
    }
    let scale = scale(suffix).ok_or_else(bad)?;
    let fraction = fraction.trim_end_matches('0');
    // At most 36 digits, so they fit.
    let digits: u128 = format!("0{integer}{fraction}").parse().map_err(|_| bad())?;
    let places = u32::try_from(fraction.len()).map_err(|_| bad())?;
    let number: f64 = format!("0{integer}.{fraction}0").parse().map_err(|_| bad())?;
    let value = match scale {
        Scale::Ten(power) => number * 10_f64.powi(power),
        Scale::Kibi(power) => number * 1024_f64.powi(i32::try_from(power).map_err(|_| bad())?),
    };
    let negative = text.starts_with('-') && digits != 0;
    Ok(Quantity { negative, whole: is_whole(digits, places, scale), value: if negative { -value } else { value } })
}

fn scale(suffix: &str) -> Option<Scale> {
    const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    if let Some(power) = BINARY.iter().position(|binary| *binary == suffix) {
        return u32::try_from(power + 1).ok().map(Scale::Kibi);
    }
    Some(Scale::Ten(match suffix {
        "" => 0,
        "n" => -9,
        "u" => -6,
        "m" => -3,
        "k" => 3,
        "M" => 6,
        "G" => 9,
        "T" => 12,
        "P" => 15,
        "E" => 18,
        exponent => exponent.strip_prefix(['e', 'E'])?.parse::<i8>().ok()?.into(),
    }))
}

/// Whether `digits` / 10^`places`, scaled, is a whole number: whether the twos and fives of its denominator
/// are among its factors.
fn is_whole(digits: u128, places: u32, scale: Scale) -> bool {
    if digits == 0 {
        return true;
    }
    let (twos, fives) = match scale {
        Scale::Ten(power) => {
            let missing = i64::from(places) - i64::from(power);
            (missing, missing)
        }
        Scale::Kibi(power) => (i64::from(places) - 10 * i64::from(power), i64::from(places)),
    };
    let mut fives_there = 0;
    let mut rest = digits;
    while rest.is_multiple_of(5) {
        rest /= 5;
        fives_there += 1;
    }
    twos <= i64::from(digits.trailing_zeros()) && fives <= fives_there
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_kubernetes_takes() {
        for text in ["0", "4", "+4", "-4", "500m", "1.5", ".5", "5.", "10Gi", "1e3", "1E-3", "900Gi", "1k", "12E"] {
            assert!(parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn refuses_what_kubernetes_refuses() {
        for text in ["", ".", " ", "4 ", "x", "1.2.3", "4GiB", "4g", "1e", "1e999", "--4", "４", "0x4", "1,5"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn knows_whole_numbers_and_signs() {
        let whole = |text| parse(text).map(|q| q.whole);
        for text in ["4", "4.0", "4000m", "0m", "1.5k", "0.5Ki", "10e-1", "0.0009765625Ki"] {
            assert_eq!(whole(text), Ok(true), "{text}");
        }
        for text in ["500m", "1.5", "1e-1", "4001m", "0.001Ki", "0.3Gi"] {
            assert_eq!(whole(text), Ok(false), "{text}");
        }
        assert!(parse("-1").is_ok_and(|q| q.negative));
        assert!(parse("-0").is_ok_and(|q| !q.negative));
    }
}
