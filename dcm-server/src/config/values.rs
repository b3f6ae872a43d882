//! How single values are read. Each error says what is allowed.

use std::{ffi::OsStr, net::SocketAddr, time::Duration};

use clap::{
    Arg, Command, Error,
    builder::TypedValueParser,
    error::{ContextKind, ContextValue, ErrorKind},
};
use dcm_core::name::Namespace;
use tracing_subscriber::EnvFilter;

use super::{CaKind, SynchronizerKind};

/// What stands in the place of a secret.
pub(super) const HIDDEN: &str = "<hidden>";

/// Reads a store, and quotes nothing of it: there may be a password in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Store;

impl TypedValueParser for Store {
    type Value = dcm_store::Config;

    fn parse_ref(&self, command: &Command, _: Option<&Arg>, value: &OsStr) -> Result<Self::Value, Error> {
        let failed = |reason: String| {
            let text = format!("the value of --store cannot be used: {reason}\n");
            let mut error = Error::raw(ErrorKind::ValueValidation, text).with_cmd(command);
            error.insert(ContextKind::Custom, ContextValue::String(reason));
            error
        };
        let text = value.to_str().ok_or_else(|| failed("it is not UTF-8".to_owned()))?;
        if text.contains(HIDDEN) {
            let advice = "was printed by dcm-server config: put the password in the place of";
            return Err(failed(format!("it {advice} {HIDDEN}")));
        }
        text.parse().map_err(|error: dcm_store::InvalidUrl| failed(error.to_string()))
    }
}

/// A store as it may be shown.
pub(super) struct Shown {
    pub(super) text: String,
    /// Whether something is left out.
    pub(super) hides: bool,
}

impl Shown {
    /// Hides a connection string's password, and options that may be as good as one. `text` was read by [`Store`].
    pub(super) fn of(text: &str) -> Self {
        let plain = || Self { text: text.to_owned(), hides: false };
        let Some((scheme, rest)) = text.split_once("://").filter(|(scheme, _)| scheme.starts_with("mongodb")) else {
            return plain();
        };
        let (place, options) = rest.split_once('?').map_or((rest, None), |(place, options)| (place, Some(options)));
        let place = match place.rsplit_once('@').map(|(user, host)| (user.split_once(':'), host)) {
            Some((Some((user, _)), host)) => format!("{user}:{HIDDEN}@{host}"),
            _ => place.to_owned(),
        };
        let option = |option: &str| match option.split_once('=') {
            Some((name, _)) if may_be_secret(name) => format!("{name}={HIDDEN}"),
            _ => option.to_owned(),
        };
        let options = options.map(|options| options.split('&').map(option).collect::<Vec<_>>().join("&"));
        let shown = format!("{scheme}://{place}{}", options.map_or_else(String::new, |options| format!("?{options}")));
        Self { hides: shown.contains(HIDDEN), text: shown }
    }
}

fn may_be_secret(option: &str) -> bool {
    let option = option.to_ascii_lowercase();
    ["password", "token", "properties"].iter().any(|part| option.contains(part))
}

pub(super) fn address(text: &str) -> Result<SocketAddr, &'static str> {
    let text = text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    text.parse().map_err(|_| "must be an IP address and a port, such as 127.0.0.1:9077 or [::1]:9077")
}

pub(super) fn synchronizer(text: &str) -> Result<SynchronizerKind, &'static str> {
    text.parse()
}

pub(super) fn ca(text: &str) -> Result<CaKind, &'static str> {
    text.parse()
}

pub(super) fn host(text: &str) -> Result<String, &'static str> {
    let sane = !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b) || b"[]:".contains(&b));
    let plain = text.starts_with('[') == text.ends_with(']') && (text.starts_with('[') || !text.contains(':'));
    if sane && plain { Ok(text.to_owned()) } else { Err("must be a host name or an IP address without a port") }
}

/// A name that a certificate may have.
pub(super) fn identity(text: &str) -> Result<String, &'static str> {
    let sane = !text.is_empty() && text.trim() == text && !text.chars().any(char::is_control);
    let known = sane.then(|| text.to_owned());
    known.ok_or("must be a URI, a host name or a common name, without blanks around it or control characters")
}

pub(super) fn namespace(text: &str) -> Result<String, String> {
    Namespace::new(text).map(String::from).map_err(|error| error.to_string())
}

pub(super) fn count(text: &str) -> Result<usize, &'static str> {
    let count = text.parse().ok().filter(|count| (1..=1_000_000).contains(count));
    count.ok_or("must be a whole number from 1 to 1000000")
}

/// A number of bytes: a whole number, with a unit or without.
pub(super) fn size(text: &str) -> Result<usize, &'static str> {
    const ALLOWED: &str =
        "must be a whole number of bytes, or one with a unit: KiB, MiB or GiB, such as 512KiB or 1MiB";
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: usize = number.parse().map_err(|_| ALLOWED)?;
    let bytes = match unit {
        "" => 1,
        "KiB" => 1024,
        "MiB" => 1024 * 1024,
        "GiB" => 1024 * 1024 * 1024,
        _ => return Err(ALLOWED),
    };
    number.checked_mul(bytes).ok_or(ALLOWED)
}

fn size_within(text: &str, fewest: usize, most: usize, allowed: &'static str) -> Result<usize, &'static str> {
    let bytes = size(text)?;
    if (fewest..=most).contains(&bytes) { Ok(bytes) } else { Err(allowed) }
}

/// The size of a body: a kubeconfig finds room, and no store takes more.
pub(super) fn body_size(text: &str) -> Result<usize, &'static str> {
    size_within(text, 16 << 10, 16 << 20, "must be from 16KiB to 16MiB")
}

/// The size of a header: HTTP implementations read buffers that are not much smaller.
pub(super) fn header_size(text: &str) -> Result<usize, &'static str> {
    size_within(text, 4 << 10, 1 << 20, "must be from 4KiB to 1MiB")
}

/// The memory of all bodies.
pub(super) fn memory(text: &str) -> Result<usize, &'static str> {
    size_within(text, 1 << 20, 1 << 40, "must be from 1MiB to 1024GiB")
}

/// How deep JSON may be: what is stored of it must be readable wherever it is stored.
pub(super) fn depth(text: &str) -> Result<usize, &'static str> {
    text.parse().ok().filter(|depth| (8..=64).contains(depth)).ok_or("must be a whole number from 8 to 64")
}

/// What is logged.
pub(super) fn filter(text: &str) -> Result<String, &'static str> {
    let known = EnvFilter::try_new(text).map(|_| text.to_owned());
    known.map_err(|_| "must be a level (error, warn, info, debug, trace) or directives such as info,dcm_server=debug")
}

/// A time span: a whole number and a unit.
pub(super) fn duration(text: &str) -> Result<Duration, &'static str> {
    const ALLOWED: &str = "must be a whole number with a unit: ms, s, m, h or d, such as 30s, 10m or 90d; or 0";
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or(ALLOWED)?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| ALLOWED)?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(ALLOWED),
    };
    // A century is as good as for ever, and no sum overflows.
    let total = number.checked_mul(milliseconds).filter(|total| *total <= 36_500 * 86_400_000);
    total.map(Duration::from_millis).ok_or("must be at most 36500d")
}

/// A switch, as it is written in an environment variable.
pub(super) fn boolean(text: &str) -> Result<bool, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" | "" => Ok(false),
        _ => Err("must be true or false"),
    }
}

/// How long a server may be silent.
pub(super) fn lease(text: &str) -> Result<Duration, &'static str> {
    let bounds = Duration::from_secs(1)..=Duration::from_secs(600);
    duration(text).ok().filter(|lease| bounds.contains(lease)).ok_or("must be from 1s to 10m, such as 15s")
}

/// A time span that is not nothing.
pub(super) fn period(text: &str) -> Result<Duration, &'static str> {
    let period = duration(text).ok().filter(|period| !period.is_zero());
    period
        .ok_or("must be a whole number above 0 with a unit: ms, s, m, h or d, such as 30s, 10m or 90d; at most 36500d")
}

/// The life of a certificate: Kubernetes signs none for less than ten minutes.
pub(super) fn lifetime(text: &str) -> Result<Duration, &'static str> {
    let lifetime = duration(text)?;
    if lifetime < Duration::from_secs(600) { Err("must be at least 10m, such as 90d") } else { Ok(lifetime) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_span_has_a_unit() {
        for (text, seconds) in [("0", 0), ("1s", 1), ("1500ms", 1), ("10m", 600), ("2h", 7200), ("90d", 7_776_000)] {
            assert_eq!(duration(text).map(|d| d.as_secs()), Ok(seconds), "{text}");
        }
        for text in ["", "1", "s", "1w", "-1s", "1.5s", "1 s", "99999999999999999999s", "18446744073709551615d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_size_is_in_bytes_or_has_a_unit() {
        for (text, bytes) in [("0", 0), ("1048576", 1 << 20), ("512KiB", 1 << 19), ("1MiB", 1 << 20), ("2GiB", 1 << 31)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "1MB", "1 MiB", "-1", "1.5MiB", "1mib", "99999999999999999999", "99999999999GiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_connection_string_is_shown_without_what_is_secret() {
        for (text, shown) in [
            ("sled:./a:b@c", "sled:./a:b@c"),
            ("mongodb://h/d?w=majority", "mongodb://h/d?w=majority"),
            ("mongodb://u@h/d", "mongodb://u@h/d"),
            ("mongodb://u:s3cret@h,i/d", "mongodb://u:<hidden>@h,i/d"),
            ("mongodb+srv://u:s3:cret@h", "mongodb+srv://u:<hidden>@h"),
            (
                "mongodb://h/?authMechanismProperties=AWS_SESSION_TOKEN:s3cret&tls=true",
                "mongodb://h/?authMechanismProperties=<hidden>&tls=true",
            ),
        ] {
            let found = Shown::of(text);
            assert_eq!((&*found.text, found.hides), (shown, text.contains("s3")), "{text}");
        }
    }

    #[test]
    fn a_switch_is_true_or_false() {
        for (text, value) in [("true", Ok(true)), ("1", Ok(true)), ("False", Ok(false)), ("", Ok(false))] {
            assert_eq!(boolean(text), value, "{text}");
        }
        assert!(boolean("maybe").is_err());
    }

    #[test]
    fn a_host_has_no_port() {
        for good in ["dcm.example.com", "10.0.0.1", "[::2]"] {
            assert!(host(good).is_ok(), "{good}");
        }
        for bad in ["", "a:1", "a b", "http://a", "::1", "[::1"] {
            assert!(host(bad).is_err(), "{bad}");
        }
    }
}
