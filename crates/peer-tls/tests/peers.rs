//! Who is let in, who is believed, and what happens when the files change.
#![expect(clippy::unwrap_used, reason = "helpers of a test")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use peer_tls::{PeerConnector, PeerTls, TlsFiles, incoming};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use test_support::{Certificate, TestAuthority, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

const HOST: &str = "127.0.0.1";
const PATIENCE: Duration = Duration::from_secs(30);

fn files(certificate: &Certificate) -> TlsFiles {
    TlsFiles {
        tls_cert: certificate.cert.clone(),
        tls_key: certificate.key.clone(),
        tls_ca: certificate.ca.clone(),
    }
}

fn peer(certificate: &Certificate) -> PeerTls {
    PeerTls::read(files(certificate))
        .map_err(|faults| format!("{faults:?}"))
        .unwrap()
}

/// Echoes what its peers say.
async fn serve(tls: PeerTls) -> SocketAddr {
    let listener = TcpListener::bind((HOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut peers = incoming(listener, tls);
    tokio::spawn(async move {
        while let Some(Ok(mut stream)) = peers.next().await {
            tokio::spawn(async move {
                let mut word = [0; 4];
                while stream.read_exact(&mut word).await.is_ok() {
                    stream.write_all(&word).await.unwrap();
                }
            });
        }
    });
    address
}

/// Whether the two understand each other. A server that refuses a certificate says so only after the client's part is done.
async fn talks(address: SocketAddr, host: &str, tls: &PeerTls) -> bool {
    let uri: Uri = format!("http://{host}:{}", address.port()).parse().unwrap();
    let connector = PeerConnector::new(tls.clone(), Duration::from_secs(5));
    match connector.oneshot(uri).await {
        Ok(stream) => echoes(&mut stream.into_inner()).await,
        Err(_) => false,
    }
}

async fn echoes(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin)) -> bool {
    let mut word = [0; 4];
    let said = stream.write_all(b"ping").await.is_ok() && stream.flush().await.is_ok();
    let heard = tokio::time::timeout(PATIENCE, stream.read_exact(&mut word))
        .await
        .unwrap();
    said && heard.is_ok() && &word == b"ping"
}

/// A client of rustls as others would write it: `certificate` is shown where there is one.
async fn foreign(address: SocketAddr, authority: &TestAuthority, certificate: Option<&Certificate>) -> bool {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match certificate {
        None => config.with_no_client_auth(),
        Some(files) => {
            let chain = CertificateDer::pem_file_iter(&files.cert)
                .unwrap()
                .collect::<Result<_, _>>()
                .unwrap();
            let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
            config.with_client_auth_cert(chain, key).unwrap()
        }
    };
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from(HOST).unwrap();
    match TlsConnector::from(Arc::new(config)).connect(name, stream).await {
        Ok(mut stream) => echoes(&mut stream).await,
        Err(_) => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_of_one_authority_talk_and_nobody_else() {
    let (ours, theirs) = (TestAuthority::new(), TestAuthority::new());
    let address = serve(peer(&ours.issue(&[HOST, "localhost"]))).await;
    let own = ours.issue(&["caller"]);
    assert!(talks(address, HOST, &peer(&own)).await);
    assert!(talks(address, "localhost", &peer(&own)).await);
    assert!(foreign(address, &ours, Some(&own)).await);

    assert!(!foreign(address, &ours, None).await, "no certificate");
    let alien = theirs.issue(&["caller", HOST]);
    assert!(
        !foreign(address, &ours, Some(&alien)).await,
        "another authority's"
    );
    assert!(
        !talks(address, HOST, &peer(&alien)).await,
        "each of another authority"
    );
    let misnamed = serve(peer(&ours.issue(&["exam", "127.0.0.2"]))).await;
    assert!(
        !talks(misnamed, HOST, &peer(&own)).await,
        "the name of another process"
    );

    // Plain text gets no answer but an alert, and keeps nobody away.
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    let mut heard = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, plain.read_to_end(&mut heard))
        .await
        .unwrap();
    assert!(
        heard.len() < 20 && !heard.windows(4).any(|four| four == b"HTTP"),
        "{heard:?}"
    );
    let silent = TcpStream::connect(address).await.unwrap();
    assert!(talks(address, HOST, &peer(&own)).await);
    drop(silent);
}

/// Whoever says nothing has a place for a while, and there are so many.
#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_is_let_go() {
    let ours = TestAuthority::new();
    let address = serve(peer(&ours.issue(&[HOST]))).await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    for mut stream in silent {
        let mut byte = [0];
        let ended = tokio::time::timeout(PATIENCE, stream.read(&mut byte)).await;
        assert!(matches!(ended, Ok(Ok(0) | Err(_))));
    }
    let own = peer(&ours.issue(&["caller"]));
    eventually(PATIENCE, || async {
        talks(address, HOST, &own).await.then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_change_are_in_use_without_a_restart() {
    let (old, new) = (TestAuthority::new(), TestAuthority::new());
    let (served, called) = (old.issue(&[HOST]), old.issue(&["caller"]));
    let (server, client) = (peer(&served), peer(&called));
    let stop = CancellationToken::new();
    let followers = [server.clone(), client.clone()].map(|tls| tokio::spawn(tls.follow(stop.clone())));
    let address = serve(server.clone()).await;
    assert!(talks(address, HOST, &client).await);
    assert!(!server.reload().map_err(|_| ()).unwrap(), "nothing has changed");

    // A renewal of which only the half is there yet: what was read before stays.
    let half = old.issue(&[HOST]);
    std::fs::copy(&half.cert, &served.cert).unwrap();
    assert!(server.reload().is_err());
    std::fs::write(&served.key, "nonsense").unwrap();
    assert!(server.reload().is_err());
    assert!(talks(address, HOST, &client).await);
    std::fs::copy(&half.key, &served.key).unwrap();

    // A new authority: both are believed for a while, then each process gets its certificate, then the old one is dropped.
    let both = format!("{}{}", old.pem(), new.pem());
    for files in [&served, &called] {
        std::fs::write(&files.ca, &both).unwrap();
    }
    let stranger = peer(&new.issue(&["stranger", HOST]));
    std::fs::write(&called.ca, &both).unwrap();
    let newcomer = new.issue(&["newcomer"]);
    std::fs::write(&newcomer.ca, &both).unwrap();
    let newcomer = peer(&newcomer);
    eventually(PATIENCE, || async {
        talks(address, HOST, &newcomer).await.then_some(())
    })
    .await;
    assert!(
        !talks(address, HOST, &stranger).await,
        "which believes the new one alone"
    );
    new.issue_into(&served, &[HOST]);
    new.issue_into(&called, &["caller"]);
    eventually(PATIENCE, || async {
        (talks(address, HOST, &stranger).await && talks(address, HOST, &client).await).then_some(())
    })
    .await;
    let left_behind = peer(&old.issue(&["caller"]));
    assert!(!talks(address, HOST, &left_behind).await);
    assert!(!foreign(address, &new, Some(&old.issue(&["caller"]))).await);
    stop.cancel();
    for follower in followers {
        follower.await.unwrap();
    }
}
