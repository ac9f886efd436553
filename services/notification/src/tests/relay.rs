use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A mail relay that can be told to be out of order.
pub struct Relay {
    pub url: String,
    pub works: Arc<AtomicBool>,
    /// Mails that it took.
    pub taken: Arc<AtomicUsize>,
}

impl Relay {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let relay = Self {
            url: format!("smtp://{}", listener.local_addr().unwrap()),
            works: Arc::default(),
            taken: Arc::default(),
        };
        let (works, taken) = (Arc::clone(&relay.works), Arc::clone(&relay.taken));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Otherwise it hangs up.
                if works.load(Ordering::SeqCst) {
                    tokio::spawn(serve(stream, Arc::clone(&taken)));
                }
            }
        });
        relay
    }
}

async fn serve(stream: TcpStream, taken: Arc<AtomicUsize>) {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 relay.test\r\n").await.unwrap();
    let (mut line, mut in_mail) = (String::new(), false);
    while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
        let command = line.trim_end().to_ascii_uppercase();
        let answer: &[u8] = match command.as_str() {
            "." if in_mail => {
                in_mail = false;
                taken.fetch_add(1, Ordering::SeqCst);
                b"250 taken\r\n"
            }
            _ if in_mail => b"",
            "DATA" => {
                in_mail = true;
                b"354 go on\r\n"
            }
            _ if command.starts_with("EHLO") => b"250 relay.test\r\n",
            _ => b"250 ok\r\n",
        };
        if stream.write_all(answer).await.is_err() {
            return;
        }
        line.clear();
    }
}
