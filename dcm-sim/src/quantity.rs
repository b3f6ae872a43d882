//! Kubernetes quantities: `500m`, `1Gi`, `2e3`. They compare by value and have one canonical text.

/// Units of 10⁻⁹, the finest that Kubernetes keeps.
const ONE: i128 = 1_000_000_000;
const BINARY: [(&str, i128); 6] =
    [("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30), ("Ti", 1 << 40), ("Pi", 1 << 50), ("Ei", 1 << 60)];
const DECIMAL: [(&str, i128); 10] = [
    ("n", 1),
    ("u", 1_000),
    ("m", 1_000_000),
    ("", ONE),
    ("k", ONE * 1_000),
    ("M", ONE * 1_000_000),
    ("G", ONE * 1_000_000_000),
    ("T", ONE * 1_000_000_000_000),
    ("P", ONE * 1_000_000_000_000_000),
    ("E", ONE * 1_000_000_000_000_000_000),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Notation {
    Binary,
    Decimal,
    Exponent,
}

/// A number with the notation that it was written in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quantity {
    nano: i128,
    notation: Notation,
}

impl Quantity {
    pub(crate) const ZERO: Self = Self::whole(0);

    /// A whole number.
    pub(crate) const fn whole(count: i64) -> Self {
        Self { nano: count as i128 * ONE, notation: Notation::Decimal }
    }

    /// Reads a quantity; `None` where the text is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(end);
        let (unit, notation) = unit(suffix)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let digits: i128 = format!("0{whole}{fraction}").parse().ok()?;
        let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        let scaled = digits.checked_mul(unit)?;
        // What is finer than the finest unit counts as one of it, as in Kubernetes.
        let nano = scaled / scale + i128::from(scaled % scale != 0);
        Some(Self { nano: if text.starts_with('-') { -nano } else { nano }, notation })
    }

    pub(crate) fn is_negative(self) -> bool {
        self.nano < 0
    }

    pub(crate) fn is_whole(self) -> bool {
        self.nano % ONE == 0
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            nano: self.nano.saturating_add(other.nano),
            notation: if self.nano == 0 { other.notation } else { self.notation },
        }
    }

    /// The text that an API server answers with.
    pub(crate) fn canonical(self) -> String {
        match self.notation {
            _ if self.nano == 0 => "0".to_owned(),
            Notation::Binary if self.is_whole() => {
                let whole = self.nano / ONE;
                BINARY
                    .iter()
                    .rev()
                    .find(|(_, unit)| whole % unit == 0)
                    .map_or_else(|| whole.to_string(), |(name, unit)| format!("{}{name}", whole / unit))
            }
            Notation::Exponent if self.is_whole() => {
                let whole = self.nano / ONE;
                let exponent = (0..=9)
                    .rev()
                    .map(|thousands| thousands * 3)
                    .find(|exponent| whole % 10_i128.pow(*exponent) == 0)
                    .unwrap_or(0);
                match exponent {
                    0 => whole.to_string(),
                    _ => format!("{}e{exponent}", whole / 10_i128.pow(exponent)),
                }
            }
            _ => DECIMAL
                .iter()
                .rev()
                .find(|(_, unit)| self.nano % unit == 0)
                .map_or_else(String::new, |(name, unit)| format!("{}{name}", self.nano / unit)),
        }
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nano == other.nano
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.nano.cmp(&other.nano)
    }
}

/// What one of the suffix is worth, in the finest unit.
fn unit(suffix: &str) -> Option<(i128, Notation)> {
    if let Some((_, unit)) = DECIMAL.iter().find(|(name, _)| *name == suffix) {
        return Some((*unit, Notation::Decimal));
    }
    if let Some((_, unit)) = BINARY.iter().find(|(name, _)| *name == suffix) {
        return Some((unit * ONE, Notation::Binary));
    }
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    let unit = match u32::try_from(exponent) {
        Ok(up) if up <= 18 => ONE * 10_i128.pow(up),
        Err(_) if exponent >= -9 => ONE / 10_i128.pow(exponent.unsigned_abs()),
        _ => return None,
    };
    Some((unit, Notation::Exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> Option<String> {
        Quantity::parse(text).map(Quantity::canonical)
    }

    #[test]
    fn quantities_compare_by_value() {
        for (left, right) in [("1", "1000m"), ("1Gi", "1024Mi"), ("2e3", "2k"), ("0.5", "500m")] {
            assert_eq!(Quantity::parse(left), Quantity::parse(right), "{left} and {right}");
        }
        assert!(Quantity::parse("1G") < Quantity::parse("1Gi"));
    }

    #[test]
    fn a_quantity_has_one_canonical_text() {
        for (text, expected) in [
            ("1000m", "1"),
            ("1.5", "1500m"),
            ("1024Mi", "1Gi"),
            ("1000", "1k"),
            ("0Gi", "0"),
            ("100", "100"),
            ("1500Mi", "1500Mi"),
            ("-5", "-5"),
            ("2e3", "2e3"),
        ] {
            assert_eq!(canonical(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in ["", " ", "1 Gi", "Gi", "1.2.3", "1gi", "ten", "1e", "--1"] {
            assert_eq!(canonical(text), None, "{text:?}");
        }
    }
}
