//! `watchkeep rules knowledge`: the pages that the shipped rules name.

use clap::Args;
use serde_json::{Value, json};
use watchkeep_rules::near::near;
use watchkeep_rules::packs;

use crate::cli::output::{self, Format};
use crate::cli::{Failure, Outcome, exit};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  watchkeep rules knowledge\n  watchkeep rules knowledge disk-full")]
pub struct Knowledge {
    /// The page, as an incident names it; without it all are listed
    page: Option<String>,
}

impl Knowledge {
    pub fn run(self, format: Format) -> Outcome {
        let Some(name) = self.page else {
            output::one(format, &listed(), |_| list());
            return Ok(());
        };
        let Some(page) = packs::page(&name) else {
            let names = packs::shipped().iter().flat_map(|pack| pack.knowledge).map(|page| page.name);
            let help = near(&name, names).map_or_else(
                || "'watchkeep rules knowledge' lists them".to_owned(),
                |near| format!("did you mean '{near}'?"),
            );
            return Err(Failure::new(exit::NOT_FOUND, format!("no pack has a page '{name}'; {help}")));
        };
        output::one(format, &json!({"name": page.name, "title": page.title(), "text": page.text}), |_| {
            page.text.to_owned()
        });
        Ok(())
    }
}

fn listed() -> Value {
    let pages = packs::shipped().iter().flat_map(|pack| pack.knowledge.iter().map(move |page| (pack, page)));
    let shown = pages.map(|(pack, page)| json!({"pack": pack.name, "name": page.name, "title": page.title()}));
    json!({"items": shown.collect::<Vec<_>>()})
}

/// A line a page, behind the name of its pack.
fn list() -> String {
    let pages = || packs::shipped().iter().flat_map(|pack| pack.knowledge);
    let width = pages().map(|page| page.name.len()).max().unwrap_or(0);
    let mut out = String::new();
    for pack in packs::shipped().iter().filter(|pack| !pack.knowledge.is_empty()) {
        out.push_str(&format!("{}\n", pack.name));
        for page in pack.knowledge {
            out.push_str(&format!("  {:width$}  {}\n", page.name, page.title()));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_listed_behind_its_pack() {
        let list = list();
        assert!(list.starts_with("certificates\n  certificate-runs-out "), "{list}");
        let pages = packs::shipped().iter().map(|pack| pack.knowledge.len()).sum::<usize>();
        assert_eq!(list.lines().filter(|line| line.starts_with("  ")).count(), pages);
        assert_eq!(listed()["items"].as_array().map(Vec::len), Some(pages));
    }

    #[test]
    fn a_name_that_is_nearly_right_is_answered_with_the_right_one() {
        let asked = Knowledge { page: Some("disk-ful".to_owned()) };
        let failure = asked.run(Format::Table).expect_err("there is no such page");
        assert!(format!("{failure:?}").contains("did you mean 'disk-full'?"), "{failure:?}");
    }
}
