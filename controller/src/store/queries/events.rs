//! Events.

use watchkeep_desk::Millis;
use watchkeep_rules::selector::Selector;

use super::{Page, Where, bounded, time_cursor};
use crate::store::events::Event;
use crate::store::{Columns, Row, StoreError, Tx};

/// Which events; all that is set must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub agent: Option<String>,
    pub kind: Option<String>,
    /// Over the labels.
    pub selector: Selector,
    /// Learned at or after …
    pub since: Option<Millis>,
    /// … and before.
    pub until: Option<Millis>,
}

/// Events looked at for one page of a selector; where fewer fit, the page is short and its cursor goes on.
const SCANNED_MAX: u32 = 5_000;

/// The newest learned first.
pub fn list(tx: &mut dyn Tx, filter: &Filter, cursor: Option<&str>, limit: u32) -> Result<Page<Event>, StoreError> {
    let limit = bounded(limit);
    let mut only = Where::default();
    only.equals("agent", filter.agent.as_deref());
    only.equals("kind", filter.kind.as_deref());
    if let Some(since) = filter.since {
        only.is("learned_at", ">=", since);
    }
    if let Some(until) = filter.until {
        only.is("learned_at", "<", until);
    }
    if let Some((at, id)) = time_cursor(cursor)? {
        let (at, id) = (only.place(at), only.place(id));
        only.conditions.push(format!("(learned_at < {at} OR (learned_at = {at} AND id < {id}))"));
    }
    let scanned = if filter.selector.takes_everything() { limit + 1 } else { SCANNED_MAX };
    let most = only.place(scanned);
    let sql = format!(
        "SELECT id, agent, at, learned_at, labels, text FROM event{} ORDER BY learned_at DESC, id DESC LIMIT {most}",
        only.sql()
    );
    let events = tx.query(&sql, &only.params)?.into_iter().map(event).collect::<Result<Vec<_>, _>>()?;
    let cursor = |event: &Event| format!("{}:{}", event.learned_at.0, event.id);
    let end = events.last().filter(|_| events.len() as u32 == scanned).map(cursor);
    let fitting = events.into_iter().filter(|event| filter.selector.matches(&event.labels)).take(limit as usize + 1);
    let mut page = Page::cut(fitting.collect(), limit, cursor);
    page.next = page.next.or(end.filter(|_| scanned == SCANNED_MAX));
    Ok(page)
}

fn event(row: Row) -> Result<Event, StoreError> {
    let mut columns = Columns::new("event", row);
    Ok(Event {
        id: columns.text()?,
        agent: columns.text()?,
        at: Millis(columns.int()?),
        learned_at: Millis(columns.int()?),
        labels: columns.json()?,
        text: columns.text()?,
    })
}
