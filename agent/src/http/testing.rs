//! A server for tests that answers each connection with given bytes, and keeps what it was asked.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Ends with the process.
pub struct Server {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers each request, by its number, with what `answer` writes; the connection is closed behind it.
    pub fn answering(answer: impl Fn(usize, &mut TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("is bound");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let Ok(mut stream) = stream else { return };
                let head = head_of(&mut stream);
                kept.lock().expect("no test panics with it").push(head);
                answer(number, &mut stream);
            }
        });
        Self { address, asked }
    }

    /// Answers every request with these bytes.
    pub fn saying(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::answering(move |_, stream| drop(stream.write_all(&bytes)))
    }

    /// Answers every request with this text, as an exporter would.
    pub fn exposing(text: &str) -> Self {
        Self::saying(exposition("text/plain; version=0.0.4", text))
    }

    /// The heads of all requests until now.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no test panics with it").clone()
    }

    pub fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.address)
    }
}

/// An answer of status 200.
pub fn exposition(content_type: &str, text: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{text}", text.len())
}

fn head_of(stream: &mut TcpStream) -> String {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
    let (mut head, mut part) = (Vec::new(), [0; 1024]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut part) {
            Ok(count) if count > 0 => head.extend_from_slice(&part[..count]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}
