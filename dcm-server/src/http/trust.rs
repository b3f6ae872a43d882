//! Whom a server listens to.
//!
//! A page that a browser shows can send requests to a server on the same machine. What such a request says
//! of itself gives it away: a `Host` that was pointed at the loopback address (DNS rebinding), the `Origin`
//! of another site, also of one on another port, or a `Sec-Fetch-Site` that says so.

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::extract::Request;
use http::{HeaderMap, Uri, Version, header};

use super::problem::Problem;
use crate::{
    status::Kind,
    tls::{PeerIdentity, ServerTls},
};

/// The hosts that this server goes by, besides the loopback ones, and the clients that it serves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trust {
    allowed_hosts: Vec<String>,
    tls: Option<ServerTls>,
    /// Empty where whoever has a certificate is served.
    allowed_identities: Vec<String>,
}

impl Trust {
    pub(crate) fn new(allowed_hosts: &[String]) -> Self {
        Self { allowed_hosts: allowed_hosts.to_vec(), ..Self::default() }
    }

    /// The names of the certificate that is served are names of this server too: a browser that was led here by another name
    /// (DNS rebinding) has refused the certificate.
    pub(crate) fn with_tls(self, tls: Option<ServerTls>, allowed_identities: &[String]) -> Self {
        Self { tls, allowed_identities: allowed_identities.to_vec(), ..self }
    }

    /// Refuses what does not come from here.
    pub(crate) fn check(&self, request: &Request) -> Result<(), Problem> {
        let headers = request.headers();
        self.check_identity(request.extensions().get())?;
        self.check_host(headers, request.uri(), request.version())?;
        let host = request.uri().authority().map(http::uri::Authority::as_str);
        let host = host.or(one(headers, header::HOST, "Host")?);
        if let Some(origin) = one(headers, header::ORIGIN, "Origin")?
            && !self.is_own_origin(origin, host)
        {
            return Err(foreign("requests of other sites' pages are not served (the header field Origin)"));
        }
        let sites = headers.get_all("sec-fetch-site");
        if sites.iter().any(|site| site != "same-origin" && site != "none") {
            return Err(foreign("requests of other sites' pages are not served (the header field Sec-Fetch-Site)"));
        }
        Ok(())
    }

    fn check_identity(&self, identity: Option<&PeerIdentity>) -> Result<(), Problem> {
        if self.allowed_identities.is_empty() || identity.is_some_and(|who| who.is_one_of(&self.allowed_identities)) {
            return Ok(());
        }
        let who = identity.map_or_else(|| "nobody".to_owned(), ToString::to_string);
        Err(foreign(&format!("the client certificate shows {who}, whom --allowed-identity does not name")))
    }

    fn check_host(&self, headers: &HeaderMap, uri: &Uri, version: Version) -> Result<(), Problem> {
        let host = one(headers, header::HOST, "Host")?;
        let authority = uri.authority().map(http::uri::Authority::as_str);
        if host.is_none() && authority.is_none() && version == Version::HTTP_11 {
            return Err(Problem::header("Host", "is required"));
        }
        if host.into_iter().chain(authority).all(|host| self.is_own_host(host)) {
            return Ok(());
        }
        Err(foreign(
            "the header field Host names a host that this server does not go by; use localhost, a name of its TLS certificate, or start it with --allowed-host",
        ))
    }

    /// Whether a page with this origin is one of ours: it has the host and the port that the request goes
    /// to, or one of the allowed hosts. That it is on this machine does not do: whoever runs something there
    /// serves pages there.
    fn is_own_origin(&self, origin: &str, host: Option<&str>) -> bool {
        let (rest, usual) = match (origin.strip_prefix("http://"), origin.strip_prefix("https://")) {
            // What was loaded without TLS is not from here.
            (Some(_), _) if self.tls.is_some() => return false,
            (Some(rest), _) => (rest, "80"),
            (_, Some(rest)) => (rest, "443"),
            _ => return false,
        };
        let Some((name, port)) = host_and_port(rest) else { return false };
        let is_same = host.and_then(host_and_port).is_some_and(|(own_name, own_port)| {
            own_name.eq_ignore_ascii_case(name) && own_port.unwrap_or(usual) == port.unwrap_or(usual)
        });
        is_same || self.is_allowed(name)
    }

    fn is_own_host(&self, text: &str) -> bool {
        let is_in_certificate = |host: &str| self.tls.as_ref().is_some_and(|tls| tls.goes_by(host));
        host_and_port(text)
            .is_some_and(|(host, _)| is_loopback(host) || self.is_allowed(host) || is_in_certificate(host))
    }

    fn is_allowed(&self, host: &str) -> bool {
        self.allowed_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host))
    }
}

fn is_loopback(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback());
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    let top = name.rsplit('.').next().unwrap_or_default();
    (top.eq_ignore_ascii_case("localhost") && !name.starts_with('.'))
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

/// The parts of `host[:port]`; `None` where that is not what it is.
fn host_and_port(text: &str) -> Option<(&str, Option<&str>)> {
    let (host, port) = match text.rfind(']') {
        Some(end) => {
            let (host, rest) = text.split_at(end + 1);
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let sane = port.is_none_or(|port| port.bytes().all(|b| b.is_ascii_digit()));
    (sane && !host.is_empty()).then_some((host, port.filter(|port| !port.is_empty())))
}

fn one<'a>(headers: &'a HeaderMap, name: header::HeaderName, shown: &'static str) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::header(shown, "stands there more than once"));
    }
    value.to_str().map(Some).map_err(|_| Problem::header(shown, "must be ASCII"))
}

fn foreign(detail: &str) -> Problem {
    Problem::new(Kind::Foreign, detail)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn is_trusted(fields: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().uri("/v2/projects");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        Trust::new(&["Dcm.Example.com".to_owned()]).check(&request.body(Body::empty()).unwrap()).is_ok()
    }

    #[test]
    fn only_loopback_and_allowed_hosts_are_ours() {
        for host in [
            "localhost",
            "localhost:9077",
            "LocalHost:1",
            "a.localhost:9077",
            "127.0.0.1",
            "127.8.9.1:80",
            "[::1]",
            "[::1]:9077",
            "dcm.example.com",
            "dcm.example.com:443",
            "localhost.",
        ] {
            assert!(is_trusted(&[("host", host)]), "{host}");
        }
        for host in [
            "example.com",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "10.0.0.1:9077",
            "[::2]:9077",
            "notlocalhost",
            "",
            ":9077",
            "localhost:x",
            "127.0.0.1@example.com",
            "[::1]example.com",
            "0.0.0.0",
            "x.dcm.example.com",
            "0x7f.1",
        ] {
            assert!(!is_trusted(&[("host", host)]), "{host}");
        }
        assert!(!is_trusted(&[]));
        assert!(!is_trusted(&[("host", "localhost"), ("host", "localhost")]));
    }

    #[test]
    fn only_our_own_pages_are_served_whatever_else_runs_on_this_machine() {
        let host = ("host", "localhost:9077");
        for origin in
            ["http://localhost:9077", "http://LocalHost:9077", "https://localhost:9077", "https://dcm.example.com"]
        {
            assert!(is_trusted(&[host, ("origin", origin), ("sec-fetch-site", "same-origin")]), "{origin}");
        }
        for origin in [
            "http://localhost:3000",
            "http://localhost",
            "http://127.0.0.1:9077",
            "http://a.localhost:9077",
            "http://localhost:90770",
            "https://example.com",
            "null",
            "http://localhost.example.com",
            "file://",
            "localhost",
            "localhost:9077",
            "",
        ] {
            assert!(!is_trusted(&[host, ("origin", origin)]), "{origin}");
        }
        for (host, origin, is_ours) in [
            ("localhost", "http://localhost", true),
            ("localhost:80", "http://localhost", true),
            ("localhost", "https://localhost:443", true),
            ("localhost:", "http://localhost:80", true),
            ("[::1]:9077", "http://[::1]:9077", true),
            ("[::1]:9077", "http://[::1]", false),
            ("localhost", "http://localhost:443", false),
            ("localhost:80", "https://localhost", false),
        ] {
            assert_eq!(is_trusted(&[("host", host), ("origin", origin)]), is_ours, "{host} {origin}");
        }
        for (site, is_ours) in
            [("same-origin", true), ("none", true), ("same-site", false), ("cross-site", false), ("", false)]
        {
            assert_eq!(is_trusted(&[host, ("sec-fetch-site", site)]), is_ours, "{site}");
        }
        assert!(!is_trusted(&[host, ("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")]));
    }
}
