//! Reading on after an early answer (nginx's lingering close): closing a connection while the client still sends its body resets
//! it, and the reset takes the answer away from the client before it was read.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Version};
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming, SizeHint};

/// What is read and thrown away of a body that nobody wants.
const MAX_BYTES: usize = 16 << 20;
const PATIENCE: Duration = Duration::from_secs(5);

/// The request with a body that is read to its end whoever drops it. HTTP/2 ends a stream without its connection.
pub fn request(request: Request<Incoming>) -> Request<Body> {
    if request.version() < Version::HTTP_2 {
        request.map(|incoming| Body::new(Lingering(Some(incoming))))
    } else {
        request.map(Body::new)
    }
}

struct Lingering(Option<Incoming>);

impl hyper::body::Body for Lingering {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(incoming) = self.0.as_mut() else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(incoming).poll_frame(cx);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.0 = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(hyper::body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0
            .as_ref()
            .map_or(SizeHint::with_exact(0), hyper::body::Body::size_hint)
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let Some(incoming) = self
            .0
            .take()
            .filter(|body| !hyper::body::Body::is_end_stream(body))
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
