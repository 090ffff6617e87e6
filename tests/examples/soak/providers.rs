//! The providers of the soak test: one that behaves, and one that answers each request in another wrong way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// The answer of the provider that behaves.
const COMPLETION: &str = r#"{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"well"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;

/// Where the providers listen.
pub(crate) struct Providers {
    pub(crate) good: SocketAddr,
    pub(crate) hostile: SocketAddr,
}

impl Providers {
    pub(crate) async fn start() -> Self {
        let good = listen(Arc::new(|stream: TcpStream, _| Box::pin(behave(stream)))).await;
        let hostile = listen(Arc::new(|stream, number| Box::pin(misbehave(stream, number)))).await;
        Self { good, hostile }
    }
}

type Serve =
    dyn Fn(TcpStream, usize) -> std::pin::Pin<Box<dyn Future<Output = std::io::Result<()>> + Send>> + Send + Sync;

async fn listen(serve: Arc<Serve>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let number = AtomicUsize::new(0);
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, number.fetch_add(1, Relaxed)));
        }
    });
    address
}

/// Reads a request, and returns whether it asks for a stream; `None` at the end of the connection.
async fn request(stream: &mut TcpStream) -> std::io::Result<Option<bool>> {
    let (mut read, mut piece) = (Vec::new(), vec![0; 16 << 10]);
    loop {
        let count = stream.read(&mut piece).await?;
        if count == 0 {
            return Ok(None);
        }
        read.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&read);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) && (length.is_some() || body.ends_with("0\r\n\r\n")) {
            return Ok(Some(body.contains("\"stream\":true") || body.contains("\"stream\": true")));
        }
    }
}

async fn behave(mut stream: TcpStream) -> std::io::Result<()> {
    while let Some(is_stream) = request(&mut stream).await? {
        if is_stream {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
                .await?;
            for piece in ["we", "ll"] {
                stream.write_all(chunk(piece).as_bytes()).await?;
                sleep(Duration::from_millis(5)).await;
            }
            stream.write_all(b"data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n").await?;
            return Ok(());
        }
        let length = COMPLETION.len();
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{COMPLETION}"
        );
        stream.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

fn chunk(content: &str) -> String {
    format!(
        "data: {{\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\
         \"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{content}\"}}}}]}}\n\n"
    )
}

/// Answers in one of many wrong ways, the next one for each connection.
async fn misbehave(mut stream: TcpStream, number: usize) -> std::io::Result<()> {
    if request(&mut stream).await?.is_none() {
        return Ok(());
    }
    let whole = |body: String| {
        let length = body.len();
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
    };
    let events = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    match number % 10 {
        // A deeply nested answer.
        0 => {
            let nested = format!("{}\"x\"{}", "[{\"thinking\":".repeat(8_000), "}]".repeat(8_000));
            let message = format!("{{\"choices\":[{{\"index\":0,\"message\":{{\"content\":{nested}}}}}]}}");
            stream.write_all(whole(message).as_bytes()).await
        }
        // Pieces of a tool call that never become whole.
        1 => {
            stream.write_all(events.as_bytes()).await?;
            let piece = "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]}}]}\n\n";
            for _ in 0..2_000 {
                stream.write_all(piece.as_bytes()).await?;
            }
            Ok(())
        }
        // Informational heads without end.
        2 => loop {
            stream.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").await?;
            sleep(Duration::from_micros(200)).await;
        },
        // A head without end.
        3 => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            for line in 0..20_000 {
                stream.write_all(format!("x-{line}: {}\r\n", "y".repeat(100)).as_bytes()).await?;
            }
            Ok(())
        }
        // A stream that never says anything.
        4 => {
            stream.write_all(events.as_bytes()).await?;
            for _ in 0..100 {
                stream.write_all(b": nothing\n\n").await?;
                sleep(Duration::from_millis(50)).await;
            }
            Ok(())
        }
        // A body that ends before its end.
        5 => stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n{\"choices\":").await,
        // Two lengths.
        6 => stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}}").await,
        // Megabytes of one string.
        7 => {
            stream
                .write_all(
                    whole(format!("{{\"choices\":[{{\"message\":{{\"content\":\"{}\"}}}}]}}", "x".repeat(4 << 20)))
                        .as_bytes(),
                )
                .await
        }
        // An error that repeats, with a pause.
        8 => {
            let body = "{\"error\":{\"message\":\"busy\"}}";
            let answer = format!("HTTP/1.1 503 Busy\r\nretry-after: 1\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await
        }
        // Nothing, and then the end.
        _ => {
            sleep(Duration::from_secs(2)).await;
            Ok(())
        }
    }
}
