//! `http://host:port/path?query`, taken apart.

use std::fmt;

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    pub is_https: bool,
    /// Without the brackets of an IPv6 address.
    pub host: String,
    pub port: u16,
    /// Path and query, as they stand in the request.
    pub target: String,
}

/// Why a text is no URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("\"{0}\" begins with neither http:// nor https://")]
    Scheme(String),
    #[error("\"{0}\" has no host")]
    Host(String),
    #[error("\"{0}\" has no port between 1 and 65535 behind its colon")]
    Port(String),
    #[error("\"{0}\" has a user name; name it under basic_auth")]
    User(String),
    #[error("\"{0}\" has a blank or a control character; write it as %20 and the like")]
    Character(String),
}

impl Url {
    /// # Errors
    /// Says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let of = |fault: fn(String) -> UrlError| fault(text.to_owned());
        if text.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            return Err(of(UrlError::Character));
        }
        let (is_https, rest) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return Err(of(UrlError::Scheme)),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        if authority.contains('@') {
            return Err(of(UrlError::User));
        }
        let (host, port) = host_and_port(authority).ok_or_else(|| of(UrlError::Port))?;
        if host.is_empty() {
            return Err(of(UrlError::Host));
        }
        let target = target.split('#').next().unwrap_or_default();
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        let port = port.unwrap_or(if is_https { 443 } else { 80 });
        Ok(Self { is_https, host: host.to_owned(), port, target })
    }

    /// Where a `Location` of an answer from here leads.
    ///
    /// # Errors
    /// As [`Url::parse`].
    pub fn join(&self, location: &str) -> Result<Self, UrlError> {
        let scheme = if self.is_https { "https" } else { "http" };
        if let Some(rest) = location.strip_prefix("//") {
            return Self::parse(&format!("{scheme}://{rest}"));
        }
        if location.contains("://") {
            return Self::parse(location);
        }
        let folder = match location {
            absolute if absolute.starts_with('/') => "",
            _ => self.target.split('?').next().and_then(|path| path.rsplit_once('/')).map_or("", |(folder, _)| folder),
        };
        let slash = if location.starts_with('/') { "" } else { "/" };
        Self::parse(&format!("{scheme}://{}{folder}{slash}{location}", self.authority()))
    }

    /// `host:port`.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// As the header `Host` has it: without the port that goes without saying.
    pub fn host_header(&self) -> String {
        let usual = if self.is_https { 443 } else { 80 };
        let all = self.authority();
        if self.port == usual { all[..all.len() - self.port.to_string().len() - 1].to_owned() } else { all }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", if self.is_https { "https" } else { "http" }, self.host_header(), self.target)
    }
}

/// `host`, `host:port`, `[::1]:port`; `None` where the port is none.
pub fn host_and_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    match port {
        None => Some((host, None)),
        Some(digits) => {
            let port =
                digits.parse().ok().filter(|port| *port > 0 && digits.bytes().all(|byte| byte.is_ascii_digit()))?;
            Some((host, Some(port)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart_and_put_together() {
        for (text, https, host, port, target) in [
            ("http://a", false, "a", 80, "/"),
            ("https://a.example/x?y=1#z", true, "a.example", 443, "/x?y=1"),
            ("http://127.0.0.1:9100/metrics", false, "127.0.0.1", 9100, "/metrics"),
            ("https://[::1]:8443?q", true, "::1", 8443, "/?q"),
        ] {
            let url = Url::parse(text).expect(text);
            assert_eq!((url.is_https, url.host.as_str(), url.port, url.target.as_str()), (https, host, port, target));
            assert_eq!(Url::parse(&url.to_string()), Ok(url), "{text}");
        }
        for bad in [
            "a",
            "ftp://a",
            "http://",
            "http://:80",
            "http://a:0",
            "http://a:x",
            "http://a:+1",
            "http://a b",
            "http://u:p@a/",
            "http://a\r\nX: y",
            "http://[::1",
        ] {
            assert!(Url::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_redirect_leads_on_from_where_it_stands() {
        let from = Url::parse("https://a.example/x/y?z").expect("a url");
        for (location, to) in [
            ("/b", "https://a.example/b"),
            ("b?c", "https://a.example/x/b?c"),
            ("//b:8443/c", "https://b:8443/c"),
            ("http://c/", "http://c/"),
        ] {
            assert_eq!(from.join(location).expect(location).to_string(), to);
        }
        assert!(from.join("file:///etc/passwd").is_err());
    }
}
