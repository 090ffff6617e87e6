//! The namespace's outside: every address there is leads to `lo`, where providers and a name server answer, and all is logged.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use tempfile::TempDir;

/// Where the name server listens.
pub(crate) const DNS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 53);

/// Makes every packet stay in the namespace and be answered there, and the system's resolver ask our server.
pub(crate) fn prepare(folder: &TempDir) {
    run("ip", &["link", "set", "lo", "up"]);
    run("ip", &["route", "add", "local", "default", "dev", "lo"]);
    run("ip", &["-6", "route", "add", "local", "default", "dev", "lo"]);
    for (name, text) in [
        ("resolv.conf", "nameserver 127.0.0.1\nsearch searched.test\noptions timeout:2 attempts:1\n"),
        ("nsswitch.conf", "hosts: files dns\n"),
        ("hosts", "127.0.0.1 localhost\n::1 localhost\n10.1.2.3 listed.allowed.test\n"),
    ] {
        let (ours, theirs) = (folder.path().join(name), format!("/etc/{name}"));
        fs::write(&ours, text).unwrap();
        if Path::new(&theirs).exists() {
            run("mount", &["--bind", ours.to_str().unwrap(), &theirs]);
        }
    }
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
}

/// A provider at `address`. Answers each request with what its path asks for, and closes.
pub(crate) fn provider(address: &str) {
    let listener = TcpListener::bind(address).unwrap_or_else(|error| panic!("{address}: {error}"));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut head = String::new();
            let mut reader = BufReader::new(&stream);
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).is_ok_and(|read| read > 0) {}
            let (status, field) = match head.split(' ').nth(1) {
                Some(path) if path.ends_with("/redirect") => ("302 Found", "location: http://evil.test/stolen\r\n"),
                Some(path) if path.ends_with("/to-metadata") => {
                    ("307 Temporary Redirect", "location: http://169.254.169.254/latest/\r\n")
                }
                _ => ("200 OK", "alt-svc: h3=\"evil.test:443\"\r\nrefresh: 0; url=http://evil.test/\r\n"),
            };
            let head = format!("HTTP/1.1 {status}\r\n{field}content-length: 2\r\nconnection: close\r\n\r\n{{}}");
            let _ = stream.write_all(head.as_bytes());
        }
    });
}

/// The addresses of a name; `None` where there is no such name. All of `evil.test` exists, and so does what a search list makes.
fn addresses(name: &str) -> Option<&'static [Ipv4Addr]> {
    const PUBLIC: Ipv4Addr = Ipv4Addr::new(93, 184, 216, 34);
    const PRIVATE: Ipv4Addr = Ipv4Addr::new(10, 1, 2, 3);
    const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
    match name {
        "api.allowed.test" | "long.allowed.test" | "a.wild.test" | "cloud.allowed.test" => Some(&[PUBLIC]),
        "gpu.allowed.test" => Some(&[PRIVATE]),
        "rebound.allowed.test" => Some(&[Ipv4Addr::LOCALHOST]),
        "metadata.allowed.test" => Some(&[METADATA]),
        "mixed.allowed.test" => Some(&[PUBLIC, PRIVATE]),
        _ if name.ends_with("evil.test") || name.ends_with(".searched.test") => Some(&[PUBLIC]),
        _ => None,
    }
}

/// A name server and the names that it was asked for.
#[derive(Clone, Default)]
pub(crate) struct Names(Arc<Mutex<Vec<String>>>);

impl Names {
    /// Answers over UDP and TCP. What it says of `long.allowed.test` fits only into the second.
    pub(crate) fn serve() -> Self {
        let names = Self::default();
        let (udp, tcp) = (UdpSocket::bind(DNS).unwrap(), TcpListener::bind(DNS).unwrap());
        let (by_udp, by_tcp) = (names.clone(), names.clone());
        thread::spawn(move || {
            let mut query = [0; 1500];
            loop {
                let (length, from) = udp.recv_from(&mut query).unwrap();
                let answer = by_udp.answer(&query[..length], true);
                let _ = answer.map(|answer| udp.send_to(&answer, from));
            }
        });
        thread::spawn(move || {
            for mut stream in tcp.incoming().map_while(Result::ok) {
                let mut length = [0; 2];
                // Both questions may come over one connection.
                while stream.read_exact(&mut length).is_ok() {
                    let mut query = vec![0; u16::from_be_bytes(length).into()];
                    let read = stream.read_exact(&mut query);
                    let Some(answer) = read.ok().and_then(|()| by_tcp.answer(&query, false)) else { break };
                    let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
                    let _ = stream.write_all(&[&length[..], &answer].concat());
                }
            }
        });
        names
    }

    /// The names since the last call, in order, without repetitions.
    pub(crate) fn take(&self) -> Vec<String> {
        let mut names = std::mem::take(&mut *self.0.lock().unwrap());
        names.sort();
        names.dedup();
        names
    }

    /// The answer to one question (RFC 1035, section 4), if it is one.
    fn answer(&self, query: &[u8], short: bool) -> Option<Vec<u8>> {
        let (name, end) = name(query)?;
        let question = query.get(12..end + 4)?;
        let is_a = question[question.len() - 4..question.len() - 2] == [0, 1];
        let found = addresses(&name);
        let truncated = short && name == "long.allowed.test";
        self.0.lock().unwrap().push(name);
        let answers = if is_a && !truncated { found.unwrap_or_default() } else { &[] };
        // A response with recursion available; truncated or not; no error or no such name.
        let flags = [0x81 | u8::from(truncated) << 1, if found.is_some() { 0x80 } else { 0x83 }];
        let counts = [0, 1, 0, u8::try_from(answers.len()).unwrap(), 0, 0, 0, 0];
        let mut response = [&query[..2], &flags, &counts, question].concat();
        for address in answers {
            // The question's name, A, IN, for 0 seconds, 4 bytes.
            response.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
            response.extend(address.octets());
        }
        Some(response)
    }
}

/// The name of a query, in lower case, and where it ends.
fn name(query: &[u8]) -> Option<(String, usize)> {
    let (mut labels, mut at) = (Vec::new(), 12);
    while *query.get(at)? != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(query.get(at + 1..end)?).to_lowercase());
        at = end;
    }
    Some((labels.join("."), at + 1))
}
