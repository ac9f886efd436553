//! Reading on after an early answer (nginx's lingering close): closing a connection while the client still sends its body resets
//! it, and the reset takes the answer away from the client before it was read.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::header::EXPECT;
use http::{Request, Version};
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming, SizeHint};

/// What is read and thrown away of a body that nobody wants.
const MAX_BYTES: usize = 16 << 20;
const PATIENCE: Duration = Duration::from_secs(5);

/// The request with a body that is read to its end whoever drops it. HTTP/2 ends a stream without its connection.
pub fn request(request: Request<Incoming>) -> Request<Body> {
    if request.version() < Version::HTTP_2 {
        let expects = request.headers().get(EXPECT);
        let waits = expects.is_some_and(|what| what.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        request.map(|incoming| {
            Body::new(Lingering {
                incoming: Some(incoming),
                waits,
            })
        })
    } else {
        request.map(Body::new)
    }
}

struct Lingering {
    incoming: Option<Incoming>,
    /// The client sends nothing before it is told to, which reading tells it: nobody shall be asked for a body that is not wanted.
    waits: bool,
}

impl hyper::body::Body for Lingering {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.waits = false;
        let Some(incoming) = self.incoming.as_mut() else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(incoming).poll_frame(cx);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.incoming = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.incoming
            .as_ref()
            .is_none_or(hyper::body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming
            .as_ref()
            .map_or(SizeHint::with_exact(0), hyper::body::Body::size_hint)
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let Some(incoming) = self
            .incoming
            .take()
            .filter(|body| !self.waits && !hyper::body::Body::is_end_stream(body))
        else {
            return;
        };
        // Outside of a runtime there is no connection left to save.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(PATIENCE, discard(incoming)));
        }
    }
}

async fn discard(mut incoming: Incoming) {
    let mut seen = 0;
    while seen < MAX_BYTES {
        match incoming.frame().await {
            Some(Ok(frame)) => seen += frame.data_ref().map_or(0, Bytes::len),
            Some(Err(_)) | None => return,
        }
    }
}
