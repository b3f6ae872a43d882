//! How long a client waits (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>, `grpc-timeout`).

use std::time::Duration;

use http::HeaderMap;

use crate::http::Problem;

/// The bound that a client has set; `None` where he waits for ever.
pub(super) fn of(headers: &HeaderMap) -> Result<Option<Duration>, Problem> {
    let Some(value) = headers.get("grpc-timeout") else { return Ok(None) };
    let bad = || Problem::header("grpc-timeout", "must be up to eight digits and one of the units H, M, S, m, u and n");
    value.to_str().ok().and_then(parse).map(Some).ok_or_else(bad)
}

fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_a_number_and_a_unit() {
        for (text, expected) in [
            ("1H", Duration::from_secs(3600)),
            ("2M", Duration::from_secs(120)),
            ("3S", Duration::from_secs(3)),
            ("99999999m", Duration::from_millis(99_999_999)),
            ("5u", Duration::from_micros(5)),
            ("0n", Duration::ZERO),
        ] {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
        for bad in ["", "S", "1", "1s", "-1S", "+1S", "1.5S", "999999999S", "1ä", "ä", " 1S"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
