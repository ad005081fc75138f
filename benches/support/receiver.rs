//! Receivers of webhooks in a process of their own: one that answers at once, and one that never does.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

/// Number of requests that were answered.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// The process of the receivers; killed when dropped.
pub struct Receivers {
    child: Child,
    asked: ChildStdin,
    answers: BufReader<ChildStdout>,
    pub answering: String,
    pub hanging: String,
}

impl Receivers {
    /// Starts this program again, as [`serve`].
    pub fn start() -> Self {
        let mut command = Command::new(std::env::current_exe().expect("a program"));
        let command = command.arg("receive").stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let mut answers = BufReader::new(child.stdout.take().expect("a pipe"));
        let asked = child.stdin.take().expect("a pipe");
        let [answering, hanging] = [(); 2].map(|()| line(&mut answers));
        Self {
            child,
            asked,
            answers,
            answering,
            hanging,
        }
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Number of requests that were answered.
    pub fn taken(&mut self) -> u64 {
        self.asked.write_all(b"\n").expect("a pipe");
        line(&mut self.answers).parse().expect("a number")
    }
}

impl Drop for Receivers {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line(from: &mut impl BufRead) -> String {
    let mut line = String::new();
    from.read_line(&mut line).expect("a line");
    line.trim_end().to_owned()
}

/// Serves both receivers until the standard input ends; each line of it asks for the number of answers.
pub fn serve() {
    for serve in [answer, hang] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("an address");
        println!("{}", listener.local_addr().expect("an address"));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                std::thread::spawn(move || serve(stream));
            }
        });
    }
    for _ in std::io::stdin().lines().map_while(Result::ok) {
        println!("{}", TAKEN.load(Ordering::Relaxed));
    }
}

fn hang(mut stream: TcpStream) {
    let _ = std::io::copy(&mut stream, &mut std::io::sink());
}

fn answer(stream: TcpStream) {
    stream.set_nodelay(true).expect("no delay");
    let mut reader = BufReader::new(stream);
    let (mut text, mut body) = (String::new(), Vec::new());
    loop {
        let mut length = 0;
        loop {
            text.clear();
            if reader.read_line(&mut text).unwrap_or(0) == 0 {
                return;
            }
            if text == "\r\n" {
                break;
            }
            if let Some(value) = text.to_ascii_lowercase().strip_prefix("content-length: ") {
                length = value.trim().parse().expect("a length");
            }
        }
        body.resize(length, 0);
        let is_whole = reader.read_exact(&mut body).is_ok();
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        if !is_whole || reader.get_mut().write_all(answer).is_err() {
            return;
        }
        TAKEN.fetch_add(1, Ordering::Relaxed);
    }
}
