//! systemd over D-Bus: one list at the start, then its signals.
//!
//! Two connections: signals come on one and questions go on the other, since a connection whose signals nobody takes while
//! a reply is awaited stands still. systemd sends a unit's change as two signals, first that of its type (with `Result`),
//! then that of every unit (with `ActiveState`), so that the result of a failure is known when the failure is.
//!
//! Asking for a unit by its object path loads it, which is a signal again; whether a unit is loaded is therefore asked by
//! pattern, which loads nothing.

use std::collections::HashMap;
use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::time::Duration;

use futures_util::StreamExt as _;
use zbus::connection::Builder;
use zbus::{Connection, DynamicType, Message, MessageStream, OwnedObjectPath, OwnedVariant, Variant};

use super::run::{HearError, Teller};
use super::{ActiveState, Listed, Service};

const SYSTEMD: &str = "org.freedesktop.systemd1";
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const SERVICE: &str = "org.freedesktop.systemd1.Service";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const UNIT_PATHS: &str = "/org/freedesktop/systemd1/unit/";

/// What is heard, and nothing else.
const RULES: [&str; 7] = [
    "type='signal',sender='org.freedesktop.systemd1',interface='org.freedesktop.DBus.Properties',\
     member='PropertiesChanged',path_namespace='/org/freedesktop/systemd1/unit',arg0='org.freedesktop.systemd1.Unit'",
    "type='signal',sender='org.freedesktop.systemd1',interface='org.freedesktop.DBus.Properties',\
     member='PropertiesChanged',path_namespace='/org/freedesktop/systemd1/unit',arg0='org.freedesktop.systemd1.Service'",
    "type='signal',sender='org.freedesktop.systemd1',interface='org.freedesktop.systemd1.Manager',member='UnitNew'",
    "type='signal',sender='org.freedesktop.systemd1',interface='org.freedesktop.systemd1.Manager',member='UnitRemoved'",
    "type='signal',sender='org.freedesktop.systemd1',interface='org.freedesktop.systemd1.Manager',member='Reloading'",
    "type='signal',sender='org.freedesktop.systemd1',interface='org.freedesktop.systemd1.Manager',member='StartupFinished'",
    "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',member='NameOwnerChanged',\
     arg0='org.freedesktop.systemd1'",
];

/// Signals that may wait while a question is asked or an event is made durable; past that the bus waits.
const SIGNALS_QUEUED: NonZeroUsize = NonZeroUsize::new(1024).expect("is not zero");
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A unit as `ListUnits` gives it: name, description, load, active and sub state, followed unit, path, and its job.
type Row = (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);

/// Hears until the bus or the taker goes away.
pub async fn hear(teller: &mut Teller) -> Result<Infallible, HearError> {
    let signals = connect().await?;
    let mut stream = MessageStream::from(&signals);
    for rule in RULES {
        let call = signals.call_method(
            Some("org.freedesktop.DBus"),
            "/org/freedesktop/DBus",
            Some("org.freedesktop.DBus"),
            "AddMatch",
            &rule,
        );
        call.await.map_err(failed_to("ask the bus for systemd's signals"))?;
    }
    let mut hearing =
        Hearing { teller, asking: Asking(connect().await?), signals, results: HashMap::new(), reloading: false };
    hearing.begin().await?;
    tracing::info!(services = hearing.teller.units().services.len(), "systemd is heard over D-Bus");
    while let Some(message) = stream.next().await {
        let message = message.map_err(failed_to("hear systemd"))?;
        hearing.take(&message).await?;
    }
    Err(HearError::BusClosed)
}

async fn connect() -> Result<Connection, HearError> {
    let building = Builder::system().max_queued(SIGNALS_QUEUED).method_timeout(ANSWER_WITHIN).build();
    building.await.map_err(failed_to("connect to the system bus"))
}

fn failed_to(doing: &'static str) -> impl Fn(zbus::Error) -> HearError {
    move |source| HearError::Bus { doing, source: Box::new(source) }
}

struct Hearing<'a> {
    teller: &'a mut Teller,
    signals: Connection,
    asking: Asking,
    /// The `Result` of units whose type has spoken and whose state has not yet.
    results: HashMap<String, String>,
    /// While systemd reads its files again it drops and makes every unit; a list follows.
    reloading: bool,
}

impl Hearing<'_> {
    /// Subscribes and takes the whole list.
    async fn begin(&mut self) -> Result<(), HearError> {
        let subscribe = self.signals.call_method(Some(SYSTEMD), MANAGER_PATH, Some(MANAGER), "Subscribe", &());
        match subscribe.await {
            // systemd kept the subscription over its own re-execution.
            Err(zbus::Error::MethodError(name, ..)) if name.as_str().ends_with(".AlreadySubscribed") => {}
            other => {
                other.map_err(failed_to("subscribe to systemd's signals"))?;
            }
        }
        self.results.clear();
        self.reloading = false;
        let state: String = self.asking.property(MANAGER_PATH, MANAGER, "SystemState").await?;
        self.teller.units().set_started_up(!["initializing", "starting"].contains(&state.as_str()));
        self.list().await
    }

    async fn list(&mut self) -> Result<(), HearError> {
        let rows: Vec<Row> = self.asking.manager("ListUnits", &()).await?;
        let mut list = Vec::with_capacity(rows.len());
        for row in rows {
            if is_there(&row) {
                list.push(self.listed(row).await?);
            }
        }
        self.teller.listed(list).await
    }

    /// A row with what it does not say: the type of a service not yet known, the result of a failed unit.
    async fn listed(&self, row: Row) -> Result<Listed, HearError> {
        let (name, description, _, active, sub, _, path, ..) = row;
        let (mut service_type, mut result) = (String::new(), String::new());
        let active = ActiveState::parse(&active);
        if name.ends_with(".service") {
            let known = self.teller.units().services.get(&name).is_some_and(|known| !known.service_type.is_empty());
            if !known {
                service_type = self.asking.property_or_empty(path.as_str(), SERVICE, "Type").await?;
            }
            if active == ActiveState::Failed {
                result = self.asking.property_or_empty(path.as_str(), SERVICE, "Result").await?;
            }
        }
        Ok(Listed { name, state: Service { active, sub, description, service_type }, result })
    }

    async fn take(&mut self, message: &Message) -> Result<(), HearError> {
        let header = message.header();
        let member = header.member().map(|member| member.as_str()).unwrap_or_default();
        match member {
            "PropertiesChanged" => {
                let unit = header.path().and_then(|path| unit_of(path.as_str()));
                self.properties_changed(unit.unwrap_or_default(), message).await
            }
            "UnitNew" | "UnitRemoved" if !self.reloading => {
                let body = message.body();
                let Ok((unit, _)) = body.deserialize::<(&str, OwnedObjectPath)>() else { return Ok(()) };
                self.came_or_went(unit).await
            }
            "Reloading" => {
                self.reloading = message.body().deserialize::<bool>().unwrap_or(false);
                if self.reloading { Ok(()) } else { self.list().await }
            }
            "StartupFinished" => {
                self.teller.units().set_started_up(true);
                Ok(())
            }
            "NameOwnerChanged" => {
                let body = message.body();
                let owner = body.deserialize::<(&str, &str, &str)>().map(|(_, _, new)| new).unwrap_or_default();
                if owner.is_empty() { Ok(()) } else { self.begin().await }
            }
            _ => Ok(()),
        }
    }

    async fn properties_changed(&mut self, unit: String, message: &Message) -> Result<(), HearError> {
        let body = message.body();
        let Ok((interface, values, _)) = body.deserialize::<(&str, HashMap<&str, Variant<'_>>, Vec<&str>)>() else {
            return Ok(());
        };
        let word = |name: &str| match values.get(name) {
            Some(Variant::Str(word)) => Some(word.as_str().to_owned()),
            _ => None,
        };
        if interface == SERVICE {
            if let Some(result) = word("Result").filter(|result| result != "success") {
                self.results.insert(unit, result);
            }
            return Ok(());
        }
        let result = self.results.remove(&unit).unwrap_or_default();
        let (Some(active), Some(sub)) = (word("ActiveState"), word("SubState")) else { return Ok(()) };
        let active = ActiveState::parse(&active);
        let state = Service { active, sub, description: String::new(), service_type: String::new() };
        self.teller.changed(&unit, state, &result).await
    }

    /// A unit was loaded or unloaded; which, is asked, as it may have changed again since.
    async fn came_or_went(&mut self, unit: &str) -> Result<(), HearError> {
        let concerns = unit.ends_with(".service") || self.teller.units().failed().any(|(failed, _)| failed == unit);
        if !concerns {
            return Ok(());
        }
        let nothing: Vec<&str> = Vec::new();
        let asked = (nothing, vec![pattern(unit)]);
        let rows: Vec<Row> = self.asking.manager("ListUnitsByPatterns", &asked).await?;
        match rows.into_iter().find(|row| row.0 == unit && is_there(row)) {
            Some(row) => {
                let listed = self.listed(row).await?;
                self.teller.changed(unit, listed.state, &listed.result).await
            }
            None => self.teller.removed(unit).await,
        }
    }
}

/// The connection that questions go over.
struct Asking(Connection);

impl Asking {
    async fn manager<B, T>(&self, method: &'static str, body: &B) -> Result<T, HearError>
    where
        B: serde::Serialize + DynamicType,
        T: for<'d> serde::Deserialize<'d> + zbus::Type,
    {
        let call = self.0.call_method(Some(SYSTEMD), MANAGER_PATH, Some(MANAGER), method, body);
        let answer = call.await.map_err(failed_to("list systemd's units"))?;
        answer.body().deserialize().map_err(failed_to("read systemd's list of units"))
    }

    async fn property(&self, path: &str, interface: &str, name: &str) -> Result<String, HearError> {
        let asked = (interface, name);
        let call = self.0.call_method(Some(SYSTEMD), path, Some(PROPERTIES), "Get", &asked);
        let answer = call.await.map_err(failed_to("ask systemd for a property"))?;
        let body = answer.body();
        let value: OwnedVariant = body.deserialize().map_err(failed_to("read a property of systemd"))?;
        Ok(String::try_from(value).unwrap_or_default())
    }

    /// As [`Self::property`], empty where systemd refuses (the unit was unloaded meanwhile).
    async fn property_or_empty(&self, path: &str, interface: &str, name: &str) -> Result<String, HearError> {
        match self.property(path, interface, name).await {
            Err(HearError::Bus { source, .. })
                if matches!(*source, zbus::Error::MethodError(..) | zbus::Error::FDO(_)) =>
            {
                Ok(String::new())
            }
            other => other,
        }
    }
}

/// Whether a unit has a file; systemd also lists names that others only mention. One that failed counts either way.
fn is_there(row: &Row) -> bool {
    row.2 != "not-found" || row.3 == ActiveState::Failed.word()
}

/// A pattern that only this name matches.
fn pattern(unit: &str) -> String {
    unit.chars().fold(String::with_capacity(unit.len()), |mut all, c| {
        if "*?[]\\".contains(c) {
            all.push('\\');
        }
        all.push(c);
        all
    })
}

/// `/org/freedesktop/systemd1/unit/nginx_2eservice` → `nginx.service`.
fn unit_of(path: &str) -> Option<String> {
    let (mut out, mut rest) = (Vec::new(), path.strip_prefix(UNIT_PATHS)?.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        if *first == b'_' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            out.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            out.push(*first);
            rest = after;
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_paths_name_units() {
        let cases = [
            ("nginx_2eservice", Some("nginx.service")),
            ("getty_40tty1_2eservice", Some("getty@tty1.service")),
            ("dev_2dsda_5cx2da_2edevice", Some("dev-sda\\x2da.device")),
            ("torn_2", None),
            ("torn_zz", None),
        ];
        for (path, unit) in cases {
            assert_eq!(unit_of(&format!("{UNIT_PATHS}{path}")).as_deref(), unit, "{path}");
        }
        assert_eq!(unit_of("/org/freedesktop/systemd1"), None);
    }

    #[test]
    fn a_pattern_matches_only_its_unit() {
        assert_eq!(pattern("a@b\\x2dc.service"), "a@b\\\\x2dc.service");
        assert_eq!(pattern("we*rd[1]?.service"), "we\\*rd\\[1\\]\\?.service");
    }
}
