//! An endpoint that behaves as it is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

/// Answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    Take,
    Refuse,
    /// Takes it after this many milliseconds.
    Slow(u64),
    /// Breaks the connection in the middle of the answer.
    Half,
    /// Never answers.
    Hang,
    /// Names another address.
    Redirect(SocketAddr),
}

/// A request that was answered in full with 200.
#[derive(Clone, Debug)]
pub struct Taken {
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Taken {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| &**value)
    }
}

type Choose = Box<dyn Fn(usize, &[u8]) -> Behaviour + Send + Sync>;

struct State {
    choose: Choose,
    /// Number of requests that have arrived.
    arrived: Mutex<usize>,
    taken: Mutex<Vec<Taken>>,
    is_dead: AtomicBool,
}

/// An endpoint on loopback.
pub struct Receiver {
    state: Arc<State>,
    address: SocketAddr,
}

impl Receiver {
    /// Starts an endpoint that takes everything.
    pub fn start() -> Self {
        Self::with(|_, _| Behaviour::Take)
    }

    /// Starts an endpoint that chooses its behaviour by the number and the body of the request.
    pub fn with(choose: impl Fn(usize, &[u8]) -> Behaviour + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(State {
            choose: Box::new(choose),
            arrived: Mutex::default(),
            taken: Mutex::default(),
            is_dead: AtomicBool::new(false),
        });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &state));
            }
        });
        Self { state, address }
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks all connections until it is revived, as a receiver that was killed does.
    pub fn set_dead(&self, is_dead: bool) {
        self.state.is_dead.store(is_dead, Ordering::SeqCst);
    }

    pub fn arrived(&self) -> usize {
        *self.state.arrived.lock().expect("a lock")
    }

    pub fn taken(&self) -> Vec<Taken> {
        self.state.taken.lock().expect("a lock").clone()
    }
}

fn serve(stream: TcpStream, state: &State) {
    let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
    let mut writer = stream;
    while let Some(request) = read(&mut reader) {
        if state.is_dead.load(Ordering::SeqCst) {
            return;
        }
        let number = {
            let mut arrived = state.arrived.lock().expect("a lock");
            *arrived += 1;
            *arrived - 1
        };
        match (state.choose)(number, &request.body) {
            Behaviour::Take => {}
            Behaviour::Slow(pause) => std::thread::sleep(Duration::from_millis(pause)),
            Behaviour::Refuse => {
                let answer =
                    b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 6\r\n\r\nbroken";
                if writer.write_all(answer).is_err() {
                    return;
                }
                continue;
            }
            Behaviour::Redirect(address) => {
                let answer = format!(
                    "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{address}/hook\r\nContent-Length: 0\r\n\r\n"
                );
                if writer.write_all(answer.as_bytes()).is_err() {
                    return;
                }
                continue;
            }
            Behaviour::Half => {
                let _ = writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nhalf");
                return;
            }
            Behaviour::Hang => {
                let _ = reader.read(&mut [0]);
                return;
            }
        }
        // noted under the lock that orders answers: what is sent next comes after it
        let mut taken = state.taken.lock().expect("a lock");
        if writer
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .is_err()
        {
            return;
        }
        taken.push(request);
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Taken> {
    let (mut headers, mut length) = (Vec::new(), 0);
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let text = line.trim_end();
        if text.is_empty() {
            break;
        }
        if let Some((name, value)) = text.split_once(": ") {
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().ok()?;
            }
            headers.push((name.to_owned(), value.to_owned()));
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Taken { headers, body })
}
