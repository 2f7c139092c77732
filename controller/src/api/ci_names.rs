//! How people name a configuration item: by its id or the beginning of it, as `CLASS:NAME@HOST`, or a host by its name.

use serde::Serialize;
use watchkeep_desk::cmdb::{Ci, Class};
use watchkeep_desk::ids::CiId;

use super::ApiState;
use super::problem::Problem;
use crate::store::queries::cis::{self, CiRow, Filter};
use crate::store::{StoreError, Tx};

/// Digits of an id that are told to people. The first twelve are those of its host; with thousands of things there, it is
/// most likely the only one that goes on so.
const SHORT: usize = 20;
/// Digits that a beginning of an id has at least.
const BEGINNING_MIN: usize = 4;
/// Items that are named where several are meant.
const NAMED_MAX: u32 = 10;
/// Every lifecycle: an id means its item, wherever that is in its life.
const EVERY_LIFECYCLE: [&str; 6] = ["planned", "in_stock", "in_use", "missing", "retired", "disposed"];

/// An item in few words, for records that name it by its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct InShort {
    pub id: CiId,
    /// The beginning of its id.
    pub short: String,
    pub class: String,
    pub name: String,
    pub agent: Option<String>,
}

impl InShort {
    pub fn of(ci: &Ci) -> Self {
        let (class, name) = (ci.class.word().to_owned(), ci.name.clone());
        Self { id: ci.id, short: short(ci.id), class, name, agent: ci.agent.as_deref().map(str::to_owned) }
    }
}

fn short(id: CiId) -> String {
    let mut digits = id.to_string();
    digits.truncate(SHORT);
    digits
}

/// The items of these ids in few words; one that is not there is left out.
///
/// # Errors
/// The store cannot be read.
pub(super) fn in_short(tx: &mut dyn Tx, ids: &[CiId]) -> Result<Vec<InShort>, StoreError> {
    let found = ids.iter().map(|id| cis::get(tx, *id)).collect::<Result<Vec<_>, _>>()?;
    Ok(found.iter().flatten().map(InShort::of).collect())
}

/// The item that `written` names.
///
/// # Errors
/// None or several are named so; the answer says which.
pub(super) async fn find(state: &ApiState, written: &str) -> Result<Ci, Problem> {
    let readings = readings(written);
    let found = state.read(move |tx| first_found(tx, &readings)).await?;
    match &found[..] {
        [] => Err(not_found(written)),
        [ci] => by_id(state, ci.id).await,
        several => Err(ambiguous(written, several)),
    }
}

/// The item of this id.
///
/// # Errors
/// There is none.
pub(super) async fn by_id(state: &ApiState, id: CiId) -> Result<Ci, Problem> {
    let found = state.read(move |tx| cis::get(tx, id)).await?;
    found.ok_or_else(|| Problem::not_found(&format!("configuration item {id}")))
}

/// What a name may mean, likeliest first.
fn readings(written: &str) -> Vec<Filter> {
    let mut readings = Vec::new();
    if let Some((class, rest)) = written.split_once(':')
        && let Some(class) = Class::parse(class)
    {
        // A name may hold an @ itself: getty@tty1.service.
        if let Some((name, host)) = rest.rsplit_once('@') {
            readings.push(Filter { agent: Some(host.to_owned()), ..named(class, name) });
        }
        readings.push(named(class, rest));
        return readings;
    }
    readings.push(named(Class::Host, written));
    let digits = written.to_ascii_lowercase();
    if digits.len() >= BEGINNING_MIN && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        let lifecycles = EVERY_LIFECYCLE.map(str::to_owned).into();
        readings.push(Filter { id_begins: Some(digits), lifecycles, ..Filter::default() });
    }
    readings
}

fn named(class: Class, name: &str) -> Filter {
    Filter { class: Some(class), name: Some(name.to_owned()), ..Filter::default() }
}

/// What the first reading finds that finds anything.
fn first_found(tx: &mut dyn Tx, readings: &[Filter]) -> Result<Vec<CiRow>, StoreError> {
    for reading in readings {
        let found = cis::list(tx, reading, None, None, NAMED_MAX)?.items;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

fn not_found(written: &str) -> Problem {
    Problem::not_found(&format!(
        "configuration item \"{written}\"; name it by its id or the first {BEGINNING_MIN} digits of it or more, as CLASS:NAME@HOST, or a host by its name"
    ))
}

fn ambiguous(written: &str, several: &[CiRow]) -> Problem {
    let lines: Vec<String> = several
        .iter()
        .map(|ci| {
            let on = ci.agent.as_ref().map_or_else(String::new, |agent| format!(" on {agent}"));
            format!("\n  {}  {} {}{on}", short(ci.id), ci.class, ci.name)
        })
        .collect();
    let more = if several.len() == NAMED_MAX as usize { ", and maybe more" } else { "" };
    Problem::invalid(format!("\"{written}\" may be any of these{more}:{}", lines.concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Class, name, agent and beginning of an id that a reading asks for.
    type Sought<'a> = (Option<Class>, Option<&'a str>, Option<&'a str>, Option<&'a str>);

    fn check(written: &str, expected: &[Sought<'_>]) {
        let found = readings(written);
        let sought = |by: &'_ Filter| (by.class, by.name.clone(), by.agent.clone(), by.id_begins.clone());
        let found: Vec<_> = found.iter().map(sought).collect();
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let expected: Vec<_> = expected.iter().map(|e| (e.0, owned(e.1), owned(e.2), owned(e.3))).collect();
        assert_eq!(found, expected, "{written}");
    }

    #[test]
    fn a_name_is_read_as_people_mean_it() {
        let (host, unit) = (Some(Class::Host), Some(Class::ServiceUnit));
        check("web-1", &[(host, Some("web-1"), None, None)]);
        check("BEEF", &[(host, Some("BEEF"), None, None), (None, None, None, Some("beef"))]);
        check("3f5", &[(host, Some("3f5"), None, None)]);
        check(
            "service_unit:getty@tty1.service@web-1",
            &[
                (unit, Some("getty@tty1.service"), Some("web-1"), None),
                (unit, Some("getty@tty1.service@web-1"), None, None),
            ],
        );
        let endpoint = Some(Class::ListeningEndpoint);
        check("listening_endpoint:tcp/:::80", &[(endpoint, Some("tcp/:::80"), None, None)]);
        check("nothing:x", &[(host, Some("nothing:x"), None, None)]);
    }
}
