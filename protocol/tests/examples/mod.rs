//! One message of each kind, with every field set: what the golden files were written from.

use std::collections::BTreeMap;

use watchkeep_protocol::command::{File, Package, Run, Script, Service};
use watchkeep_protocol::inventory::{ItemRef, section_hash};
use watchkeep_protocol::layout::{Flag, Instance};
use watchkeep_protocol::token::Token;
use watchkeep_protocol::*;

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

const SPOOL: [u8; 16] = *b"spool-0123456789";
const NONCE: [u8; 16] = *b"nonce-0123456789";
const COMMAND: [u8; 16] = *b"command-01234567";
const AT: i64 = 1_795_000_000_123;

pub fn hello() -> Hello {
    Hello {
        spool: SPOOL.to_vec(),
        matters: Span { first: 7, next: 12 },
        samples: Span { first: 4_000, next: 4_003 },
        clock_ms: AT,
        interval_ms: 15_000,
        version: "0.1.0".into(),
        hostname: "web-1.shop.example".into(),
        command_nonce: NONCE.to_vec(),
        epoch: 3,
        policy_hash: vec![0xab; 32],
        key_share: vec![0xcd; 32],
        claims: map(&[("environment", "production"), ("service", "shop")]),
        boot_id: "0c1d2e3f-0000-4000-8000-000000000001".into(),
        unsent: None,
    }
}

pub fn hello_unsent() -> Hello {
    Hello { unsent: Some(Unsent { matters: 9, samples: 4_001 }), ..hello() }
}

pub fn open() -> Open {
    Open { share: vec![0x11; 32] }
}

pub fn offer() -> Offer {
    Offer { share: vec![0x22; 32], nonce: NONCE.to_vec(), key: vec![0x33; 8], signature: vec![0x44; 64] }
}

pub fn proof() -> Proof {
    Proof { certificate: vec![0x30, 0x82, 0x01, 0x00], signature: vec![0x66; 70] }
}

pub fn blocks() -> Vec<Block> {
    let metric = |name: &str, labels: &[(&str, &str)], kind: MetricKind| Metric {
        name: name.into(),
        labels: map(labels),
        kind: kind as i32,
        help: "what it counts".into(),
    };
    vec![
        Block {
            template: Template {
                collector: "memory".into(),
                metrics: vec![metric("node_memory_MemAvailable_bytes", &[], MetricKind::Gauge)],
                instance_labels: Vec::new(),
            },
            instances: vec![Instance { values: Vec::new() }],
        },
        Block {
            template: Template {
                collector: "cpu".into(),
                metrics: vec![
                    metric("node_cpu_seconds_total", &[("mode", "idle")], MetricKind::Counter),
                    metric("node_cpu_seconds_total", &[("mode", "user")], MetricKind::Counter),
                ],
                instance_labels: vec!["cpu".into()],
            },
            instances: vec![Instance { values: vec!["0".into()] }, Instance { values: vec!["1".into()] }],
        },
    ]
}

pub fn layout() -> Layout {
    Layout::whole(blocks())
}

pub fn layout_change() -> Layout {
    let mut next = blocks();
    next[1].instances = vec![Instance { values: vec!["1".into()] }, Instance { values: vec!["2".into()] }];
    Layout::step(&blocks(), &next).expect("only instances differ")
}

pub fn report() -> Report {
    Report {
        spool: SPOOL.to_vec(),
        number: 4_002,
        at_ms: AT,
        layout: layout().id,
        rows: vec![
            layout::Row { block: 0, values: vec![1.5e9], flags: Vec::new() },
            layout::Row {
                block: 1,
                values: vec![10.25, 2.5, 0.0, -0.0],
                flags: vec![Flag::Read as u8, Flag::Read as u8, Flag::Failed as u8, Flag::Ended as u8],
            },
        ],
        skipped: 0,
    }
}

/// The first report after a crash: 200 numbers before it were never used.
pub fn report_skipped() -> Report {
    Report { skipped: 200, ..report() }
}

fn matter(number: u64, body: MatterBody) -> Matter {
    Matter { spool: SPOOL.to_vec(), number, at_ms: AT, body: Some(body) }
}

pub fn event() -> Matter {
    matter(
        8,
        MatterBody::Event(Event {
            labels: map(&[("kind", "unit_failed"), ("unit", "nginx.service"), ("result", "signal")]),
            text: "nginx.service entered failed state".into(),
        }),
    )
}

pub fn inventory() -> Matter {
    let package = ItemRef { class: "software_package".into(), key: "nginx/amd64".into() };
    let items = vec![Item {
        class: "service_unit".into(),
        key: "nginx.service".into(),
        attributes: map(&[("active_state", "active")]),
        relations: vec![Relation { kind: "uses".into(), to: package }],
    }];
    matter(
        9,
        MatterBody::Inventory(Inventory {
            section: "service".into(),
            hash: section_hash(&items).to_vec(),
            base: vec![0x11; 32],
            items,
            gone: vec![ItemRef { class: "service_unit".into(), key: "old.service".into() }],
            part: 1,
            parts: 2,
        }),
    )
}

pub fn result() -> Matter {
    matter(
        10,
        MatterBody::Result(CommandResult {
            id: COMMAND.to_vec(),
            outcome: Outcome::Refused as i32,
            exit: Some(-9),
            stdout: b"out".to_vec(),
            stderr: b"err".to_vec(),
            cut: 17,
            started_ms: AT,
            finished_ms: AT + 250,
            reason: "policy.yaml:9 denies service ssh.service stopped".into(),
            refusal: "policy".into(),
            changed: true,
            run: "RUN-12".into(),
            step: 1,
            attempt: 2,
            policy: String::new(),
        }),
    )
}

pub fn result_allowed() -> Matter {
    matter(
        12,
        MatterBody::Result(CommandResult {
            id: COMMAND.to_vec(),
            outcome: Outcome::Done as i32,
            exit: Some(0),
            started_ms: AT,
            finished_ms: AT + 250,
            changed: true,
            run: "RUN-12".into(),
            step: 1,
            attempt: 1,
            policy: "policy.yaml:4 allows service nginx.service restarted".into(),
            ..CommandResult::default()
        }),
    )
}

pub fn status() -> Matter {
    matter(
        11,
        MatterBody::Status(Status {
            what: "skipped".into(),
            detail: "the spool is full".into(),
            skipped: Some(Span { first: 100, next: 220 }),
        }),
    )
}

pub fn will() -> Will {
    Will { session: SPOOL.to_vec() }
}

pub fn ack() -> Ack {
    Ack {
        spool: SPOOL.to_vec(),
        matters: 12,
        taken: 4_003,
        sealed: 3_000,
        credit: 64,
        now_ms: AT + 40,
        key_share: vec![0xef; 32],
    }
}

pub fn resync() -> Resync {
    Resync {
        layouts: vec![vec![0x22; 32]],
        sections: vec!["package".into(), "*".into()],
        new_spool: true,
        hello: true,
        reason: "the controller was restored from a backup".into(),
        reports: Vec::new(),
    }
}

pub fn resync_reports() -> Resync {
    let reports = vec![Span { first: 4_002, next: 4_003 }, Span { first: 4_010, next: 4_012 }];
    Resync { reason: "reports were lost on the way".into(), reports, ..Resync::default() }
}

fn body(action: Action) -> CommandBody {
    CommandBody {
        id: COMMAND.to_vec(),
        agent: "web-1".into(),
        run: "RUN-12".into(),
        step: 1,
        attempt: 2,
        plan_hash: vec![0x33; 32],
        epoch: 3,
        session_nonce: NONCE.to_vec(),
        expires_after_ms: 120_000,
        timeout_ms: 60_000,
        action: Some(action),
    }
}

pub fn command_service() -> CommandBody {
    body(Action::Service(Service { name: "nginx.service".into(), state: "restarted".into() }))
}

pub fn command_run() -> CommandBody {
    body(Action::Run(Run {
        argv: vec!["journalctl".into(), "--lines".into(), "200".into()],
        environment: map(&[("LANG", "C")]),
    }))
}

pub fn command_script() -> CommandBody {
    body(Action::Script(Script {
        argv: vec!["/bin/sh".into(), "-eu".into()],
        content: "df -P \"$1\"\n".into(),
        arguments: vec!["/srv".into()],
    }))
}

pub fn command_package() -> CommandBody {
    body(Action::Package(Package { names: vec!["nginx".into(), "libssl3".into()], state: "latest".into() }))
}

pub fn command_file() -> CommandBody {
    body(Action::File(File {
        path: "/etc/nginx/conf.d/limits.conf".into(),
        state: "file".into(),
        content: Some("client_max_body_size 8m;\n".into()),
        mode: Some(0o640),
        owner: "root".into(),
        group: "www-data".into(),
    }))
}

pub fn command() -> Command {
    use prost::Message as _;
    Command {
        body: command_service().encode_to_vec(),
        signatures: vec![Signature { key: b"keyid-01".to_vec(), signature: vec![0x44; 64] }],
    }
}

pub fn envelope() -> Envelope {
    let mut envelope = Envelope::new(SPOOL, 42, &ack());
    envelope.seal(&SessionKey::new([0x55; 32]), "watchkeep/v1/7/web-1/down/ack");
    envelope
}

pub fn token() -> Token {
    Token {
        id: "tok-1".into(),
        secret: vec![0x66; 32],
        ca_fingerprint: vec![0x77; 32],
        url: "https://controller.example:8421".into(),
    }
}
