//! Numbers as they are written in JSON, of which the parser only gives what is left of them.

use std::{borrow::Cow, cell::Cell};

/// The numbers of a JSON text, one after the other.
pub(super) struct Numbers<'a> {
    text: &'a str,
    at: Cell<usize>,
}

impl<'a> Numbers<'a> {
    pub(super) const fn of(text: &'a str) -> Self {
        Self { text, at: Cell::new(0) }
    }

    /// The next number; empty where there is none.
    pub(super) fn next(&self) -> &'a str {
        let bytes = self.text.as_bytes();
        let (mut at, mut in_text) = (self.at.get(), false);
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'\\' if in_text => at += 1,
                b'"' => in_text = !in_text,
                b'-' | b'0'..=b'9' if !in_text => break,
                _ => {}
            }
            at += 1;
        }
        let rest = bytes.get(at..).unwrap_or_default();
        let is_part = |byte: &u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
        let end = at.saturating_add(rest.iter().take_while(|byte| is_part(byte)).count());
        self.at.set(end);
        self.text.get(at..end).unwrap_or_default()
    }
}

/// The text with zeros for the numbers that are too large for the parser; everything stays in its place.
pub(super) fn finite(text: &str) -> Cow<'_, str> {
    let numbers = Numbers::of(text);
    let (mut finite, mut done) = (String::new(), 0);
    loop {
        let number = numbers.next();
        if number.is_empty() {
            break;
        }
        // Below that length there is no number without an exponent that is too large.
        let may_be_large = number.len() > 300 || number.contains(['e', 'E']);
        if may_be_large && is_number(number) && number.parse::<f64>().is_ok_and(f64::is_infinite) {
            let end = numbers.at.get();
            finite.push_str(text.get(done..end.saturating_sub(number.len())).unwrap_or_default());
            // With a fraction, so that the parser gives it as what it is not sure of.
            finite.push_str("0.0");
            finite.extend(std::iter::repeat_n(' ', number.len().saturating_sub(3)));
            done = end;
        }
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    finite.push_str(text.get(done..).unwrap_or_default());
    Cow::Owned(finite)
}

/// Whether it is a number in JSON (RFC 8259, section 6).
fn is_number(text: &str) -> bool {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (number, None),
    };
    let whole = whole.strip_prefix('-').unwrap_or(whole);
    is_digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(is_digits)
        && exponent.is_none_or(|exponent| is_digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
}

/// Whether a number that is written like this is what the parser gave for it, and is not an integer that no
/// integer type holds.
pub(super) fn is_same(written: &str, value: f64) -> bool {
    let is_integer = !written.contains(['.', 'e', 'E']);
    let decimal = decimal(written);
    decimal == self::decimal(&format!("{value:e}")) && (!is_integer || decimal.is_some_and(|d| d.digits.is_empty()))
}

/// A decimal number in its one form: `0.<digits>` times ten to the power of `exponent`.
#[derive(PartialEq, Eq)]
struct Decimal {
    is_negative: bool,
    digits: String,
    exponent: i64,
}

/// `None` where its exponent is beyond everything.
fn decimal(text: &str) -> Option<Decimal> {
    let (number, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (is_negative, number) = number.strip_prefix('-').map_or((false, number), |number| (true, number));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let all = format!("{whole}{fraction}");
    let digits = all.trim_start_matches('0');
    let leading = i64::try_from(all.len() - digits.len()).ok()?;
    let digits = digits.trim_end_matches('0').to_owned();
    if digits.is_empty() {
        return Some(Decimal { is_negative: false, digits, exponent: 0 });
    }
    let point = i64::try_from(whole.len()).ok()?.checked_sub(leading)?;
    let exponent = exponent.parse::<i64>().ok()?.checked_add(point)?;
    Some(Decimal { is_negative, digits, exponent })
}
