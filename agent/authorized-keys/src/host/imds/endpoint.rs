//! The address of IMDS: one of its two link-local addresses, or the one given with `--imds-endpoint`.

use std::net::{Ipv4Addr, Ipv6Addr};

use reqwest::Url;

use super::error::ImdsError;
use eic_verify::text::printable;

/// The port of a URL that has none (RFC 9110, section 4.2.1).
const HTTP_PORT: &str = ":80";

/// The address of IMDS, with which every URL starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(String);

impl Endpoint {
    /// The link-local addresses, in the order they are tried: `169.254.169.254`, then `[fd00:ec2::254]`.
    #[must_use]
    pub fn link_local() -> Vec<Self> {
        let ipv4 = Ipv4Addr::new(169, 254, 169, 254);
        let ipv6 = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
        vec![Self(format!("http://{ipv4}")), Self(format!("http://[{ipv6}]"))]
    }

    /// Parses the address given on the command line: `http://`, a host, optionally a port, and at most a slash after it.
    ///
    /// # Errors
    /// A message that says which form is expected.
    pub fn parse(given: &str) -> Result<Self, String> {
        let invalid = || "expected http://HOST or http://HOST:PORT, such as http://127.0.0.1:1338".to_owned();
        let url = Url::parse(given).map_err(|_| invalid())?;
        if url.scheme() == "https" {
            return Err("IMDS does not support HTTPS: expected http://HOST or http://HOST:PORT".to_owned());
        }
        let base = url.as_str().trim_end_matches('/');
        let trimmed = given.trim_end_matches('/');
        // Url omits the default port.
        let is_unchanged = base == trimmed.strip_suffix(HTTP_PORT).unwrap_or(trimmed);
        if url.scheme() != "http" || !is_unchanged || url.path() != "/" || base.contains(['@', '?', '#']) {
            return Err(invalid());
        }
        Ok(Self(base.to_owned()))
    }

    /// The address, as the start of a URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URL for `path`; an error if the HTTP client would send a different one.
    pub(super) fn url(&self, path: &str) -> Result<Url, ImdsError> {
        let text = format!("{}{path}", self.0);
        match Url::parse(&text) {
            Ok(url) if url.as_str() == text => Ok(url),
            _ => Err(ImdsError::UrlChanged(printable(text.as_bytes()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_would_be_sent_otherwise_than_it_is_written_is_refused() {
        let endpoint = Endpoint::parse("http://127.0.0.1:1338/").unwrap();
        assert_eq!(
            endpoint.url("/latest/a@b$/").map(|url| url.to_string()),
            Ok("http://127.0.0.1:1338/latest/a@b$/".to_owned())
        );
        for path in ["/a/../b", "/a/./b", "/a b", "/a\nb", "/é", "/a\\b", "/a/%2e%2e/b"] {
            assert!(matches!(endpoint.url(path), Err(ImdsError::UrlChanged(_))), "{path:?}");
        }
    }

    #[test]
    fn the_link_local_addresses_are_sent_as_they_are_written() {
        let urls = Endpoint::link_local()
            .iter()
            .map(|endpoint| endpoint.url("/x").unwrap().to_string())
            .collect::<Vec<_>>();
        assert_eq!(urls, ["http://169.254.169.254/x", "http://[fd00:ec2::254]/x"]);
    }

    #[test]
    fn the_default_port_may_be_given() {
        for (given, base) in [
            ("http://127.0.0.1:80", "http://127.0.0.1"),
            ("http://127.0.0.1:80/", "http://127.0.0.1"),
            ("http://[::1]:80", "http://[::1]"),
            ("http://imds.example:8080", "http://imds.example:8080"),
        ] {
            assert_eq!(Endpoint::parse(given), Ok(Endpoint(base.to_owned())), "{given}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_form_that_is_wanted() {
        for given in [
            "",
            "127.0.0.1",
            "127.0.0.1:1338",
            "localhost:1338",
            "ftp://127.0.0.1",
            "http://",
            "http://127.0.0.1/latest",
            "http://127.0.0.1:80:80",
            "http://user@127.0.0.1",
            "http://127.0.0.1?x",
            "http://127.0.0.1#x",
            "http://127.1",
            "HTTP://127.0.0.1",
        ] {
            let why = Endpoint::parse(given).unwrap_err();
            assert!(why.contains("http://HOST:PORT, such as"), "{given}: {why}");
        }
        let https = Endpoint::parse("https://127.0.0.1").unwrap_err();
        assert!(https.contains("does not support HTTPS"), "{https}");
    }
}
