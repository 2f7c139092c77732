//! The address of a database: `sqlite:PATH`, a plain path, or `postgres://…`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::StoreError;

/// Where the database is. `Debug` and `Display` leave out the password.
#[derive(Clone, PartialEq, Eq)]
pub enum Address {
    Sqlite(PathBuf),
    Postgres(PostgresAddress),
}

/// `postgres://USER@HOST:PORT/DATABASE?…` as libpq has it, with `sslmode` and `sslrootcert` taken out.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresAddress {
    /// What the driver reads; may hold a password.
    pub(super) url: String,
    pub(super) tls: Tls,
}

/// Whether the connection is encrypted. There is no way between: with TLS, the server's certificate is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tls {
    Off,
    /// The server's certificate must be signed by this CA (a PEM file) and name its host.
    VerifiedBy(PathBuf),
}

impl FromStr for Address {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return postgres(text).map(Self::Postgres);
        }
        let path = text.strip_prefix("sqlite:").unwrap_or(text);
        match text.split_once("://") {
            Some((scheme, _)) if scheme != "sqlite" => Err(wrong(
                text,
                format!(
                    "\"{scheme}\" is no kind of store; write sqlite:PATH, a path, or postgres://USER@HOST/DATABASE"
                ),
            )),
            _ if path.is_empty() => {
                Err(wrong(text, "names no file; write for example sqlite:/var/lib/watchkeep/watchkeep.db"))
            }
            _ => Ok(Self::Sqlite(PathBuf::from(path.strip_prefix("//").unwrap_or(path)))),
        }
    }
}

fn postgres(text: &str) -> Result<PostgresAddress, StoreError> {
    let (base, query) = text.split_once('?').unwrap_or((text, ""));
    let (mut mode, mut ca, mut rest) = (None, None, Vec::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", value)) => mode = Some(value),
            Some(("sslrootcert", value)) => ca = Some(PathBuf::from(value)),
            _ => rest.push(pair),
        }
    }
    let url = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
    Ok(PostgresAddress { tls: tls(text, mode, ca, stays_on_this_machine(&url))?, url })
}

fn tls(text: &str, mode: Option<&str>, ca: Option<PathBuf>, local: bool) -> Result<Tls, StoreError> {
    match (mode, ca) {
        (Some("disable"), _) => Ok(Tls::Off),
        (Some("require" | "verify-ca" | "verify-full") | None, Some(ca)) => Ok(Tls::VerifiedBy(ca)),
        (Some("require" | "verify-ca" | "verify-full"), None) => {
            Err(wrong(text, "asks for TLS but not who signs the server's certificate; add sslrootcert=/path/to/ca.pem"))
        }
        (Some(other), _) => Err(wrong(
            text,
            format!("sslmode \"{other}\" is not known; write verify-full with sslrootcert=/path/to/ca.pem, or disable"),
        )),
        (None, None) if local => Ok(Tls::Off),
        (None, None) => Err(wrong(
            text,
            "leaves this machine but does not say how it is protected; \
             add sslmode=verify-full&sslrootcert=/path/to/ca.pem, or sslmode=disable if the network is",
        )),
    }
}

/// Unix sockets and loopback.
fn stays_on_this_machine(url: &str) -> bool {
    use postgres::config::Host;
    let Ok(config) = url.parse::<postgres::Config>() else { return false };
    let hosts_are_local = config.get_hosts().iter().all(|host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback()),
    });
    hosts_are_local && config.get_hostaddrs().iter().all(std::net::IpAddr::is_loopback)
}

fn wrong(text: &str, found: impl Into<String>) -> StoreError {
    StoreError::Address { address: without_password(text), found: found.into() }
}

/// The address with `…` for the password, in its user part or among its parameters.
fn without_password(text: &str) -> String {
    let (head, query) = text.split_once('?').map_or((text, None), |(head, query)| (head, Some(query)));
    let head = match head.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?))) {
        Some((scheme, (user, host))) => match user.split_once(':') {
            Some((name, _)) => format!("{scheme}://{name}:…@{host}"),
            None => head.to_owned(),
        },
        None => head.to_owned(),
    };
    let Some(query) = query else { return head };
    let pairs: Vec<&str> =
        query.split('&').map(|pair| if pair.starts_with("password=") { "password=…" } else { pair }).collect();
    format!("{head}?{}", pairs.join("&"))
}

impl fmt::Display for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_password(&self.url))
    }
}

impl fmt::Debug for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresAddress({self}, {:?})", self.tls)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(address) => address.fmt(f),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        text.parse::<Address>().expect_err("refused").to_string()
    }

    #[test]
    fn a_path_is_sqlite_with_or_without_its_scheme() {
        for text in ["sqlite:/var/lib/w.db", "sqlite:///var/lib/w.db", "/var/lib/w.db"] {
            assert_eq!(text.parse::<Address>().expect("read"), Address::Sqlite("/var/lib/w.db".into()), "{text}");
        }
    }

    #[test]
    fn tls_is_asked_for_by_the_address() {
        let tls = |text: &str| match text.parse::<Address>().expect("read") {
            Address::Postgres(address) => address.tls,
            Address::Sqlite(_) => panic!("{text} is no file"),
        };
        assert_eq!(tls("postgres://w@/w?host=/run/postgresql"), Tls::Off);
        assert_eq!(tls("postgres://w@localhost/w"), Tls::Off);
        assert_eq!(tls("postgres://w@db.lan/w?sslmode=disable"), Tls::Off);
        let verified = tls("postgres://w@db.lan/w?sslmode=verify-full&sslrootcert=/etc/ca.pem&connect_timeout=3");
        assert_eq!(verified, Tls::VerifiedBy("/etc/ca.pem".into()));
    }

    #[test]
    fn a_wrong_address_says_what_would_help() {
        assert!(error("mysql://db/w").contains("\"mysql\" is no kind of store; write sqlite:PATH"));
        assert!(error("sqlite:").contains("names no file"));
        assert!(error("postgres://w@db.lan/w").contains("add sslmode=verify-full&sslrootcert="));
        assert!(error("postgres://w@db.lan/w?sslmode=require").contains("add sslrootcert="));
        assert!(error("postgres://w@db.lan/w?sslmode=prefer").contains("\"prefer\" is not known"));
    }

    #[test]
    fn a_password_is_never_shown() {
        for text in ["postgres://w:hunter2@db.lan/w", "postgres://w@db.lan/w?password=hunter2"] {
            let shown = error(text);
            assert!(!shown.contains("hunter2"), "{shown}");
            let address: Address =
                format!("{}sslmode=disable", if text.contains('?') { format!("{text}&") } else { format!("{text}?") })
                    .parse()
                    .expect("read");
            assert!(!format!("{address} {address:?}").contains("hunter2"));
        }
    }
}
