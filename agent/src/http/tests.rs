use std::io::Write as _;
use std::time::Duration;

use super::testing::Server;
use super::*;

/// Keeps everything.
#[derive(Default)]
struct Keeping {
    status: u16,
    body: Vec<u8>,
    most: usize,
}

impl Taker for Keeping {
    fn head(&mut self, head: &Head) -> Result<(), String> {
        self.status = head.status;
        Ok(())
    }

    fn body(&mut self, part: &[u8]) -> Result<(), String> {
        self.body.extend_from_slice(part);
        if self.most > 0 && self.body.len() > self.most { Err("too much".to_owned()) } else { Ok(()) }
    }
}

const GET: Request<'_> = Request { method: "GET", headers: &[], body: "", follow_redirects: true };

async fn get(url: &str, request: &Request<'_>) -> (Result<(u16, String), String>, Trace) {
    let (mut trace, mut taker) = (Trace::default(), Keeping::default());
    let (url, tls) = (Url::parse(url).expect("a url"), Tls::default());
    let asking = ask(&url, request, &tls, &mut trace, &mut taker);
    let asked = tokio::time::timeout(Duration::from_secs(20), asking).await.expect("ends in time");
    let said = asked.map(|()| (taker.status, String::from_utf8_lossy(&taker.body).into_owned()));
    (said.map_err(|error| in_full(&error)), trace)
}

#[tokio::test]
async fn a_body_ends_by_its_length_by_chunks_or_with_the_connection() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello and more",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\nhello",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    ] {
        let server = Server::saying(answer);
        let (said, _) = get(&server.url("/x?y"), &GET).await;
        assert_eq!(said, Ok((200, "hello".to_owned())), "{answer:?}");
        let asked = server.asked().remove(0);
        assert!(asked.starts_with("GET /x?y HTTP/1.1\r\n") && asked.contains(&format!("Host: {}\r\n", server.address)));
    }
}

#[tokio::test]
async fn the_same_comes_out_however_the_bytes_are_cut() {
    let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
    let server = Server::answering(|_, stream| {
        let _ = stream.set_nodelay(true);
        for byte in answer.chunks(1) {
            let _ = stream.write_all(byte);
            std::thread::sleep(Duration::from_micros(300));
        }
    });
    assert_eq!(get(&server.url("/"), &GET).await.0, Ok((200, "hello".to_owned())));
}

#[tokio::test]
async fn what_is_cut_or_no_http_is_a_fault() {
    for (answer, fault) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", "it ends too early"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "it ends too early"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n",
            "a chunk is longer than it says",
        ),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "a chunk without its size"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "transfer-encoding \"gzip, chunked\""),
        ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "content-length \"-1\""),
        ("HTTP/1.1 200 OK\r\nX: ", "it ends within its head"),
        ("SSH-2.0-OpenSSH_9.2\r\n", "what is no HTTP/1"),
        ("", "it ends within its head"),
    ] {
        let (said, _) = get(&Server::saying(answer).url("/"), &GET).await;
        let found = said.expect_err(answer);
        assert!(found.contains(fault), "{answer:?}: {found}");
    }
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(HEAD_BYTES + 10));
    let found = get(&Server::saying(endless).url("/"), &GET).await.0.expect_err("its head is too long");
    assert!(found.contains("its head does not end"), "{found}");
}

#[tokio::test]
async fn redirects_are_followed_but_not_for_ever_and_secrets_stay_at_home() {
    let other = Server::saying("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let away = format!("HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", other.url("/there"));
    let first = Server::answering(move |number, stream| {
        let near = "HTTP/1.1 301 Moved\r\nLocation: /near\r\nContent-Length: 0\r\n\r\n";
        let _ = stream.write_all(if number == 0 { near.as_bytes() } else { away.as_bytes() });
    });
    let headers = [("Authorization".to_owned(), "Bearer secret".to_owned()), ("X-Plain".to_owned(), "1".to_owned())];
    let (said, trace) = get(&first.url("/a"), &Request { headers: &headers, ..GET }).await;
    assert_eq!((said, trace.redirects), (Ok((200, "ok".to_owned())), 2));
    assert!(first.asked().iter().all(|head| head.contains("Bearer secret")), "{:?}", first.asked());
    assert!(first.asked()[1].starts_with("GET /near "));
    let asked = other.asked().remove(0);
    assert!(asked.starts_with("GET /there ") && asked.contains("X-Plain") && !asked.contains("secret"), "{asked}");

    let round = Server::saying("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n");
    let (said, _) = get(&round.url("/"), &GET).await;
    assert!(said.expect_err("never ends").contains("redirects more than 10 times"));
    let (said, _) = get(&round.url("/"), &Request { follow_redirects: false, ..GET }).await;
    assert_eq!(said, Ok((302, String::new())), "it is an answer for who asks for it");
}

#[tokio::test]
async fn who_takes_an_answer_may_stop_it() {
    let server = Server::answering(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        // Without end, until the other side has enough.
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
    });
    let (mut trace, mut taker) = (Trace::default(), Keeping { most: 100_000, ..Keeping::default() });
    let url = Url::parse(&server.url("/")).expect("a url");
    let said = ask(&url, &GET, &Tls::default(), &mut trace, &mut taker).await;
    assert_eq!(said.expect_err("is stopped").to_string(), "too much");
    assert!(taker.body.len() < 200_000);
}

#[tokio::test]
async fn nobody_there_is_said_with_the_address() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("is bound");
    let (said, trace) = get(&format!("http://{free}/"), &GET).await;
    assert!(said.expect_err("nobody listens").starts_with(&format!("connect to {free}: ")));
    assert_eq!(trace.address, Some(free));
    let (said, _) = get("http://name.invalid/", &GET).await;
    assert!(said.expect_err("no such name").starts_with("look up \"name.invalid\": "));
}
