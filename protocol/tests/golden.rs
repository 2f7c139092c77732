//! Each released message as a file, decoded by today's code: `golden/NAME.bin` as it travels, `golden/NAME.txt` as it reads.
//!
//! The files bind from 0.1.0. `WATCHKEEP_WRITE_GOLDEN=1` writes those that are missing, for a new message; it never
//! touches one that is there.

mod examples;

use std::fmt::Debug;
use std::path::PathBuf;

use prost::Message;
use watchkeep_protocol::*;

fn file(name: &str, ending: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.{ending}"))
}

fn kept(name: &str, ending: &str, now: &[u8]) -> Vec<u8> {
    let path = file(name, ending);
    if !path.exists() && std::env::var_os("WATCHKEEP_WRITE_GOLDEN").is_some_and(|value| value == "1") {
        std::fs::write(&path, now).expect("the golden file is written");
    }
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!("{}: {error}; for a new message run this test once with WATCHKEEP_WRITE_GOLDEN=1", path.display())
    })
}

fn check<T: Message + Default + PartialEq + Debug>(name: &str, example: &T) {
    let bytes = kept(name, "bin", &example.encode_to_vec());
    let decoded = T::decode(bytes.as_slice()).unwrap_or_else(|error| panic!("{name}.bin: {error}"));
    let reads = String::from_utf8(kept(name, "txt", format!("{example:#?}\n").as_bytes())).expect("a text");
    assert_eq!(format!("{decoded:#?}\n"), reads, "{name}.bin reads differently now");
    assert_eq!(decoded.encode_to_vec(), bytes, "{name} is written differently now");

    // A newer peer's field does no harm: tag 1000, length-delimited.
    let newer = [bytes.as_slice(), &[0xc2, 0x3e, 0x03, b'n', b'e', b'w']].concat();
    assert_eq!(T::decode(newer.as_slice()).expect("unknown fields are skipped"), decoded, "{name} with a newer field");
}

#[test]
fn every_released_message_still_reads_the_same() {
    check("hello", &examples::hello());
    check("hello-unsent", &examples::hello_unsent());
    check("layout", &examples::layout());
    check("layout-change", &examples::layout_change());
    check("report", &examples::report());
    check("report-skipped", &examples::report_skipped());
    check("event", &examples::event());
    check("inventory", &examples::inventory());
    check("result", &examples::result());
    check("result-allowed", &examples::result_allowed());
    check("status", &examples::status());
    check("will", &examples::will());
    check("ack", &examples::ack());
    check("resync", &examples::resync());
    check("resync-reports", &examples::resync_reports());
    check("command", &examples::command());
    check("command-service", &examples::command_service());
    check("command-run", &examples::command_run());
    check("command-script", &examples::command_script());
    check("command-package", &examples::command_package());
    check("command-file", &examples::command_file());
    check("envelope", &examples::envelope());
    check("open", &examples::open());
    check("offer", &examples::offer());
    check("proof", &examples::proof());
}

#[test]
fn the_mac_of_a_released_envelope_still_verifies() {
    let bytes = std::fs::read(file("envelope", "bin")).expect("the golden file");
    let envelope = Envelope::read(&bytes).expect("an envelope");
    let key = SessionKey::new([0x55; 32]);
    assert_eq!(envelope.verify(&key, "watchkeep/v1/7/web-1/down/ack"), Ok(()));
    assert_eq!(envelope.verify(&key, "watchkeep/v1/7/web-2/down/ack"), Err(WireError::Forged));
}

#[test]
fn the_key_of_a_released_agreement_stays() {
    let (open, offer) = (examples::open(), examples::offer());
    let agreement = Agreement {
        agent: "web-1",
        session: b"session-01234567",
        agent_share: &open.share,
        controller_share: &offer.share,
        nonce: &offer.nonce,
    };
    let mut envelope = Envelope::new(*agreement.session, 1, &examples::proof());
    envelope.seal(&agreement.key(&[0x55; 32]).expect("a key"), "watchkeep/v1/196/web-1/up/proof");
    let hex: String = envelope.mac.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(String::from_utf8(kept("agreement", "txt", hex.as_bytes())).expect("a text"), hex);
}

#[test]
fn the_content_hashes_of_released_messages_stay() {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let now = format!(
        "layout id        {}\nreport content   {}\nevent content    {}\nsection          {}\n",
        hex(&Layout::content_id(&examples::blocks())),
        hex(&examples::report().content_hash()),
        hex(&examples::event().content_hash()),
        hex(&inventory::section_hash(&[])),
    );
    assert_eq!(String::from_utf8(kept("hashes", "txt", now.as_bytes())).expect("a text"), now);
}

#[test]
fn a_released_token_still_parses() {
    let text = kept("token", "txt", examples::token().to_text().as_bytes());
    let parsed = token::Token::parse(std::str::from_utf8(&text).expect("a text")).expect("a token");
    assert_eq!(parsed, examples::token());
    assert!(!format!("{parsed:?}").contains("secret"));
}

#[test]
fn shards_and_topics_of_agents_stay() {
    for (agent, shard) in [("web-1", 196), ("db.example", 177), ("a", 202)] {
        let topic = topic::Topic::new(agent, topic::Kind::Event);
        assert_eq!(topic.to_string(), format!("watchkeep/v1/{shard}/{agent}/up/event"));
        assert_eq!(topic::Topic::parse(&topic.to_string()), Some(topic));
    }
}
