//! Bytes from outside: whatever they are, they are read or refused, without panic and without a large allocation.

mod examples;

use std::alloc::{GlobalAlloc, Layout as Memory, System};
use std::cell::Cell;

use proptest::prelude::*;
use prost::Message;
use watchkeep_protocol::matter::Will;
use watchkeep_protocol::token::Token;
use watchkeep_protocol::topic::{KINDS, Kind};
use watchkeep_protocol::*;

/// Counts what the running thread asks for, so that a length that lies is seen as the allocation it causes.
struct Counting;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

#[expect(unsafe_code, reason = "a test allocator must implement the unsafe trait; it only counts and passes on")]
// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, memory: Memory) -> *mut u8 {
        let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(memory.size())));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(memory) }
    }

    unsafe fn dealloc(&self, at: *mut u8, memory: Memory) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, memory) }
    }

    unsafe fn realloc(&self, at: *mut u8, memory: Memory, size: usize) -> *mut u8 {
        let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(size)));
        // SAFETY: as above.
        unsafe { System.realloc(at, memory, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The largest single allocation while `work` ran, bytes.
fn largest(work: impl FnOnce()) -> usize {
    LARGEST.with(|largest| largest.set(0));
    work();
    LARGEST.with(Cell::get)
}

/// Opens `envelope` as the message of `kind`.
fn open(envelope: &Envelope, kind: Kind) -> Result<(), WireError> {
    match kind {
        Kind::Hello => envelope.open_checked::<Hello>(kind).map(drop),
        Kind::Layout => envelope.open_checked::<Layout>(kind).map(drop),
        Kind::Report => envelope.open_checked::<Report>(kind).map(drop),
        Kind::Event | Kind::Inventory | Kind::Result | Kind::Status => envelope.open_checked::<Matter>(kind).map(drop),
        Kind::Will => envelope.open_checked::<Will>(kind).map(drop),
        Kind::Ack => envelope.open_checked::<Ack>(kind).map(drop),
        Kind::Resync => envelope.open_checked::<Resync>(kind).map(drop),
        Kind::Open => envelope.open_checked::<Open>(kind).map(drop),
        Kind::Offer => envelope.open_checked::<Offer>(kind).map(drop),
        Kind::Proof => envelope.open_checked::<Proof>(kind).map(drop),
        Kind::Command => envelope
            .open_checked::<Command>(kind)
            .and_then(|command| CommandBody::decode(command.body.as_slice()).map_err(|_| WireError::Forged)?.check()),
    }
}

fn read_all(bytes: &[u8]) {
    let _ = Envelope::read(bytes);
    let wrapped =
        Envelope { version: envelope::WIRE_VERSION, session: vec![0; 16], body: bytes.to_vec(), ..Envelope::default() };
    for (kind, ..) in KINDS {
        let _ = open(&wrapped, kind);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let most = largest(|| read_all(&bytes));
        prop_assert!(most <= 64 << 10, "{} bytes asked {most} at once", bytes.len());
    }

    #[test]
    fn damaged_messages_are_refused_or_read(place in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        for bytes in whole() {
            let mut damaged = bytes.clone();
            damaged[place.index(bytes.len())] = byte;
            prop_assert!(largest(|| read_all(&damaged)) <= 64 << 10);
            read_all(&bytes[..cut.index(bytes.len())]);
        }
    }

    #[test]
    fn token_texts_are_refused_or_read(text in "\\PC{0,80}") {
        let _ = Token::parse(&text);
        let _ = Token::parse(&format!("wk1.{text}"));
    }
}

fn whole() -> Vec<Vec<u8>> {
    vec![
        examples::hello().encode_to_vec(),
        examples::hello_unsent().encode_to_vec(),
        examples::layout().encode_to_vec(),
        examples::layout_change().encode_to_vec(),
        examples::report().encode_to_vec(),
        examples::report_skipped().encode_to_vec(),
        examples::event().encode_to_vec(),
        examples::inventory().encode_to_vec(),
        examples::result().encode_to_vec(),
        examples::result_allowed().encode_to_vec(),
        examples::command().encode_to_vec(),
        examples::envelope().encode_to_vec(),
        examples::offer().encode_to_vec(),
        examples::proof().encode_to_vec(),
    ]
}

#[test]
fn a_token_cut_when_pasted_is_refused_at_every_place() {
    let whole = examples::token().to_text();
    for length in 0..whole.len() {
        assert!(Token::parse(&whole[..length]).is_err(), "{length} of {} characters", whole.len());
    }
    assert!(Token::parse(&format!(" {whole}\n")).is_ok());
}

#[test]
fn a_length_that_lies_allocates_nothing() {
    // Field 1 of every message, length-delimited, said to be 2 GiB and 2^63 bytes long; two bytes follow.
    for length in [&[0xff, 0xff, 0xff, 0xff, 0x07][..], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]] {
        for field in 1..16u8 {
            let bytes = [&[field << 3 | 2], length, &[1, 2]].concat();
            let most = largest(|| read_all(&bytes));
            assert!(most <= 4096, "field {field}: {most} bytes asked at once");
        }
    }
}

#[test]
fn a_message_past_its_size_is_refused_before_it_is_decoded() {
    for (kind, ..) in KINDS {
        let body = vec![0u8; kind.body_bytes_max() + 1];
        let envelope = Envelope { version: 1, session: vec![0; 16], body, ..Envelope::default() };
        let most = largest(|| {
            assert!(matches!(open(&envelope, kind), Err(WireError::TooLarge { .. })), "{kind:?}");
        });
        assert!(most <= 1024, "{kind:?}: {most} bytes asked at once");
    }
    let bytes = vec![0u8; limits::ENVELOPE_BYTES + 1];
    assert!(matches!(Envelope::read(&bytes), Err(WireError::TooLarge { .. })));
}

#[test]
fn a_full_body_of_empty_items_stays_within_bounds() {
    // The smallest item costs two bytes on the wire and a structure in memory: the worst amplification there is.
    let body = [0x22, 0x00].repeat(Kind::Inventory.body_bytes_max() / 2);
    let most = largest(|| {
        let _ = Inventory::decode(body.as_slice());
    });
    assert!(most <= 64 << 20, "{most} bytes asked at once");
}

#[test]
fn each_example_is_accepted() {
    let wrap = |body: Vec<u8>| Envelope { version: 1, session: vec![0; 16], body, ..Envelope::default() };
    for (kind, bytes) in [
        (Kind::Hello, examples::hello().encode_to_vec()),
        (Kind::Hello, examples::hello_unsent().encode_to_vec()),
        (Kind::Layout, examples::layout().encode_to_vec()),
        (Kind::Layout, examples::layout_change().encode_to_vec()),
        (Kind::Report, examples::report().encode_to_vec()),
        (Kind::Report, examples::report_skipped().encode_to_vec()),
        (Kind::Event, examples::event().encode_to_vec()),
        (Kind::Inventory, examples::inventory().encode_to_vec()),
        (Kind::Result, examples::result().encode_to_vec()),
        (Kind::Status, examples::status().encode_to_vec()),
        (Kind::Will, examples::will().encode_to_vec()),
        (Kind::Ack, examples::ack().encode_to_vec()),
        (Kind::Resync, examples::resync().encode_to_vec()),
        (Kind::Resync, examples::resync_reports().encode_to_vec()),
        (Kind::Command, examples::command().encode_to_vec()),
        (Kind::Open, examples::open().encode_to_vec()),
        (Kind::Offer, examples::offer().encode_to_vec()),
        (Kind::Proof, examples::proof().encode_to_vec()),
    ] {
        assert_eq!(open(&wrap(bytes), kind), Ok(()), "{kind:?}");
    }
    for command in [
        examples::command_run(),
        examples::command_service(),
        examples::command_script(),
        examples::command_package(),
        examples::command_file(),
    ] {
        assert_eq!(command.check(), Ok(()), "{:?}", command.action);
    }
    assert_eq!(examples::report().check_against(&examples::blocks()), Ok(()));
}

#[test]
fn each_fault_is_named() {
    fn said(message: &impl Check) -> String {
        message.check().expect_err("refused").to_string()
    }
    let event = |change: fn(&mut Event)| {
        let mut event = Event { labels: [("kind".to_owned(), "x".to_owned())].into(), text: String::new() };
        change(&mut event);
        said(&event)
    };
    assert_eq!(event(|e| e.labels.clear()), "event: has no label \"kind\"");
    assert_eq!(event(|e| drop(e.labels.insert("no-dash".into(), String::new()))), "label name: \"no-dash\"");
    assert_eq!(
        event(|e| drop(e.labels.insert("big".into(), "x".repeat(1025)))),
        "label value: big has 1025 bytes, at most 1024 are taken"
    );
    assert_eq!(
        event(|e| e.labels.extend((0..40).map(|n| (format!("l{n}"), String::new())))),
        "labels: 41, at most 32 are taken"
    );
    assert_eq!(said(&Ack { sealed: 4, taken: 3, ..examples::ack() }), "sealed: 4 is beyond taken 3");
    assert_eq!(said(&Layout { id: vec![0; 32], ..examples::layout() }), "layout id: is not that of its blocks");
    assert_eq!(said(&Hello { spool: vec![1], ..examples::hello() }), "spool id: 1 bytes, not 16");
    let unsent = Some(Unsent { matters: 13, samples: 0 });
    assert_eq!(said(&Hello { unsent, ..examples::hello() }), "unsent: 13 and 0 are beyond what is held");
    assert_eq!(said(&Span { first: 2, next: 1 }), "span: 2..1 runs backwards");
    let beyond = said(&Span { first: 0, next: limits::NUMBER_MAX + 1 });
    assert_eq!(beyond, "span: 4611686018427387905, at most 4611686018427387904 is taken");
    let labels = [("kind".to_owned(), "a\0b".to_owned())].into();
    assert_eq!(said(&Event { labels, text: String::new() }), "label value: kind holds a NUL");
    let service = |name: &str, state: &str| said(&command::Service { name: name.into(), state: state.into() });
    assert_eq!(service("--root=/x", "started"), "unit: \"--root=/x\" is no name of a unit");
    assert_eq!(service("a.service", "gone"), "state: \"gone\", not one of started, stopped, restarted, reloaded");
    let package = |name: &str| said(&command::Package { names: vec![name.into()], state: "latest".into() });
    assert_eq!(package("--allow-downgrades"), "package: \"--allow-downgrades\" is no name of a package");
    assert_eq!(package("./evil.deb"), "package: \"./evil.deb\" is no name of a package");
    assert_eq!(package("nginx=1.0"), "package: \"nginx=1.0\" is no name of a package");
    let path =
        |path: &str| said(&command::File { path: path.into(), state: "absent".into(), ..command::File::default() });
    for wrong in ["etc/x", "/etc/../root/x", "/etc//x", "/etc/./x", "/", "/etc/"] {
        assert_eq!(path(wrong), format!("path: {wrong:?} is no plain absolute path"));
    }
    let directory = command::File { path: "/a".into(), state: "directory".into(), ..command::File::default() };
    assert_eq!(
        said(&command::File { content: Some("x".into()), ..directory.clone() }),
        "content: of what shall be directory"
    );
    assert_eq!(said(&command::File { mode: Some(0o10000), ..directory }), "mode: more than permission bits");
    let script = |content: &str| {
        said(&command::Script { argv: vec!["sh".into()], content: content.into(), arguments: Vec::new() })
    };
    assert_eq!(script(""), "content: empty");
    assert_eq!(script(&"x".repeat(32_769)), "content: 32769 bytes, at most 32768 are taken");

    let mut report = examples::report();
    report.rows[1].values.pop();
    report.rows[1].flags.pop();
    assert_eq!(
        report.check_against(&examples::blocks()).expect_err("refused").to_string(),
        "row: 3 values for block 1 (\"cpu\"), which has 4"
    );
    report.rows[1].block = 9;
    assert_eq!(
        report.check_against(&examples::blocks()).expect_err("refused").to_string(),
        "row: names block 9, the layout has 2"
    );
}
