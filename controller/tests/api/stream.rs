//! The live stream of the ledger.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;
use tokio::time::timeout;

use super::world::{Caller, PATIENCE, World};

/// An open stream, and what of it was read and not yet told.
struct Stream {
    response: reqwest::Response,
    text: String,
}

impl Stream {
    async fn open(caller: &Caller, behind: Option<&str>) -> Self {
        let mut request = caller.request(Method::GET, "/api/v1/stream").timeout(PATIENCE * 4);
        if let Some(cursor) = behind {
            request = request.header("Last-Event-ID", cursor);
        }
        let response = request.send().await.expect("the controller answers");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new() }
    }

    /// The next fact with its cursor; none once the stream ended.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let message: String = self.text.drain(..end + 2).collect();
                let field = |name: &str| message.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
                let Some(id) = field("id:") else { continue };
                let fact = serde_json::from_str(field("data:").expect("data")).expect("a fact is JSON");
                return Some((id.to_owned(), fact));
            }
            let chunk = timeout(PATIENCE, self.response.chunk()).await.expect("something comes in time");
            self.text.push_str(std::str::from_utf8(&chunk.expect("the stream ends cleanly")?).expect("text"));
        }
    }

    async fn notes(&mut self, count: usize) -> Vec<(String, String)> {
        let mut notes = Vec::new();
        while notes.len() < count {
            let (id, fact) = self.next().await.expect("it goes on");
            assert_eq!(fact["cursor"], id, "the id is the cursor");
            let note = fact["fact"]["body"]["fact"]["note"].as_str().unwrap_or_else(|| panic!("a note in {fact}"));
            notes.push((id, note.to_owned()));
        }
        notes
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn facts_come_live_and_a_broken_stream_goes_on_where_it_broke() {
    let world = World::start().await;
    let mut stream = Stream::open(&world.admin, None).await;
    world.facts(3).await;
    let live = stream.notes(3).await;
    let notes: Vec<&str> = live.iter().map(|(_, note)| note.as_str()).collect();
    assert_eq!(notes, ["fact 0", "fact 1", "fact 2"]);
    drop(stream);

    let mut again = Stream::open(&world.admin, Some(&live[0].0)).await;
    assert_eq!(again.notes(2).await, live[1..], "what came behind the cursor, and nothing else");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_when_the_controller_stops() {
    let world = World::start().await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(Stream::open(&world.admin, None).await);
    }
    let begun = Instant::now();
    let (ended, _folder) = tokio::join!(
        async {
            let mut ended = 0;
            for stream in &mut streams {
                ended += usize::from(stream.next().await.is_none());
            }
            ended
        },
        world.stop()
    );
    assert_eq!(ended, 3);
    // An API that does not end by itself is given up after 5 s.
    assert!(begun.elapsed() < Duration::from_secs(5), "it took {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_is_none_is_refused() {
    let world = World::start().await;
    let request = world.admin.request(Method::GET, "/api/v1/stream").header("Last-Event-ID", "yesterday");
    let answer = super::world::Answer::of(request).await;
    answer.is_problem(400, "invalid", "\"yesterday\" is no place in the ledger");
    world.stop().await;
}
