//! A connection can be made, over TLS where that is wanted.

use super::config::Tcp;
use super::{Found, State, Verdict};
use crate::http::{Trace, connect, in_full};

pub async fn look(tcp: &Tcp, found: &mut Found) -> Verdict {
    let mut trace = Trace::default();
    let connected = connect(&tcp.host, tcp.port, &mut trace).await;
    found.way(&trace);
    let socket = match connected {
        Ok(socket) => socket,
        Err(error) => return (State::Critical, in_full(&error)),
    };
    let at = trace.address.map(|address| address.to_string()).unwrap_or_default();
    let Some(tls) = &tcp.tls else { return (State::Ok, format!("{at} takes connections")) };
    let connector = match tls.name(&tcp.host).and_then(|name| tls.connector(&name)) {
        Ok(connector) => connector,
        Err(error) => return (State::Critical, in_full(&error)),
    };
    match connector.connect(socket).await {
        Ok((_, shown)) => {
            trace.certificates = shown.certificates;
            trace.tls_version = shown.version;
            found.tls(&trace);
            (State::Ok, format!("{at} agrees on TLS"))
        }
        Err((error, certificates)) => {
            trace.certificates = certificates;
            found.tls(&trace);
            (State::Critical, format!("agree on TLS with {at}: {error}"))
        }
    }
}
