//! What is written is what is read, for content of every shape.

use std::collections::BTreeMap;

use proptest::prelude::*;
use prost::Message;
use watchkeep_protocol::inventory::ItemRef;
use watchkeep_protocol::layout::{Instance, Row};
use watchkeep_protocol::topic::{Kind, Topic};
use watchkeep_protocol::*;

fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    proptest::collection::btree_map("[a-z_][a-z0-9_]{0,12}", "\\PC{0,20}", 0..8).prop_map(|mut labels| {
        labels.insert("kind".into(), "x".into());
        labels
    })
}

fn item() -> impl Strategy<Value = Item> {
    let relation = ("[a-z_]{1,8}", "[a-z]{1,8}", "\\PC{1,12}")
        .prop_map(|(kind, class, key)| Relation { kind, to: ItemRef { class, key } });
    ("[a-z_]{1,12}", "\\PC{1,20}", labels(), proptest::collection::vec(relation, 0..4))
        .prop_map(|(class, key, attributes, relations)| Item { class, key, attributes, relations })
}

fn body() -> impl Strategy<Value = MatterBody> {
    prop_oneof![
        (labels(), "\\PC{0,40}").prop_map(|(labels, text)| MatterBody::Event(Event { labels, text })),
        ("[a-z]{1,9}", proptest::collection::vec(item(), 0..6)).prop_map(|(section, items)| {
            let hash = inventory::section_hash(&items).to_vec();
            MatterBody::Inventory(Inventory { section, hash, items, ..Inventory::default() })
        }),
        (any::<[u8; 16]>(), 0..5i32, any::<Option<i32>>(), proptest::collection::vec(any::<u8>(), 0..99)).prop_map(
            |(id, outcome, exit, stdout)| {
                MatterBody::Result(CommandResult { id: id.to_vec(), outcome, exit, stdout, ..CommandResult::default() })
            }
        ),
        ("[a-z]{1,9}", "\\PC{0,40}", any::<u32>(), any::<u32>()).prop_map(|(what, detail, first, more)| {
            let skipped = Some(Span { first: first.into(), next: u64::from(first) + u64::from(more) });
            MatterBody::Status(Status { what, detail, skipped })
        }),
    ]
}

fn blocks() -> impl Strategy<Value = Vec<Block>> {
    let block =
        ("[a-z]{1,6}", proptest::collection::vec("[a-z_:]{1,9}", 1..5), 0..6usize).prop_map(|(collector, names, n)| {
            let metrics = names.into_iter().map(|name| Metric { name, ..Metric::default() }).collect();
            let instances = (0..n).map(|place| Instance { values: vec![place.to_string()] }).collect();
            Block { template: Template { collector, metrics, instance_labels: vec!["place".into()] }, instances }
        });
    proptest::collection::vec(block, 1..5)
}

proptest! {
    #[test]
    fn a_matter_comes_back(number in 0..=limits::NUMBER_MAX, at_ms in any::<i64>(), body in body(), session in any::<[u8; 16]>()) {
        let matter = Matter { spool: vec![9; 16], number, at_ms, body: Some(body) };
        let kind = matter.kind().expect("a known body");
        let bytes = Envelope::new(session, 3, &matter).encode_to_vec();
        let read: Matter = Envelope::read(&bytes).expect("an envelope").open_checked(kind).expect("a matter");
        prop_assert_eq!(read.content_hash(), matter.content_hash());
        let anew = Matter { spool: vec![8; 16], number: number.wrapping_add(1), ..matter.clone() };
        prop_assert_eq!(anew.content_hash(), matter.content_hash(), "numbered anew, the content is the same");
        let later = Matter { at_ms: at_ms.wrapping_add(1), ..matter.clone() };
        prop_assert_ne!(later.content_hash(), matter.content_hash());
        prop_assert_eq!(read, matter);
    }

    #[test]
    fn a_report_of_a_layout_fits_it(blocks in blocks(), seed in any::<u64>()) {
        let rows = blocks.iter().enumerate().map(|(place, block)| {
            let count = block.instances.len() * block.template.metrics.len();
            let values = (0..count).map(|n| f64::from_bits(seed.rotate_left(n as u32 % 64))).collect::<Vec<_>>();
            Row { block: place as u32, values, flags: vec![0; count] }
        }).collect();
        let layout = Layout::whole(blocks.clone());
        prop_assert_eq!(layout.check(), Ok(()));
        let report = Report { spool: vec![1; 16], number: seed, at_ms: 5, layout: layout.id, rows, skipped: 0 };
        prop_assert_eq!(report.check_against(&blocks), Ok(()));
        let read = Report::decode(report.encode_to_vec().as_slice()).expect("a report");
        // Bit by bit, as NaN is a value here and equals nothing.
        for (read, sent) in read.rows.iter().zip(&report.rows) {
            let bits = |row: &Row| row.values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(read), bits(sent));
        }
        prop_assert_eq!(read.content_hash(), report.content_hash());
    }

    #[test]
    fn every_step_between_instances_applies(blocks in blocks(), keep in any::<u64>(), added in 0..4usize) {
        let mut next = blocks.clone();
        let mut place = 0;
        next[0].instances.retain(|_| { place += 1; keep >> place & 1 == 1 });
        next[0].instances.extend((0..added).map(|n| Instance { values: vec![format!("new-{n}")] }));
        if let Some(step) = Layout::step(&blocks, &next) {
            prop_assert_eq!(step.check(), Ok(()));
            prop_assert_eq!(step.change.expect("a change").apply(&blocks, &step.id), Ok(next));
        } else {
            prop_assert_eq!(next, blocks);
        }
    }

    #[test]
    fn a_topic_comes_back(agent in "[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?") {
        for (kind, ..) in topic::KINDS {
            let name = Topic::new(agent.clone(), kind).to_string();
            prop_assert_eq!(Topic::parse(&name), Some(Topic::new(agent.clone(), kind)));
        }
        prop_assert_eq!(Topic::parse(&format!("watchkeep/v1/256/{agent}/up/{}", Kind::Event.word())), None);
    }
}
