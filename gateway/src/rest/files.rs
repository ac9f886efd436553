//! Long files: asked for part by part while the client takes them, so that no process ever holds one whole (C-DB-14).

use axum::Error;
use bytes::Bytes;
use contracts::Rest;
use futures::stream::unfold;
use futures::{Stream, StreamExt};
use problem::Problem;
use request_context::RequestContext;
use rpc_client::RpcClient;

/// What comes behind the first part; `None` where that was all. A part that fails breaks the answer off, so that the client knows.
pub fn rest_of<R: Rest>(
    first: &R::Response,
    request: R::Request,
    client: &RpcClient,
    context: RequestContext,
) -> Option<impl Stream<Item = Result<Bytes, Error>> + Send + use<R>> {
    let next = next_part::<R>(first)?;
    // Each part has its own time; a client may take long.
    let context = RequestContext {
        deadline: None,
        ..context
    };
    let client = client.clone();
    // Fused: what compresses the answer asks again at its end.
    let parts = unfold(Some(next), move |part| {
        let (mut request, client, context) = (request.clone(), client.clone(), context.clone());
        async move {
            let part = part?;
            if !R::set_part(&mut request, part) {
                let fault = Problem::internal("a file of parts that cannot be asked for");
                return Some((Err(Error::new(fault)), None));
            }
            match request_context::scope(context, client.call::<R>(request)).await {
                Ok(answer) => {
                    let answer = answer.into_inner();
                    let content = R::file(&answer).map(|file| Bytes::from(file.content.clone()));
                    Some((Ok(content.unwrap_or_default()), next_part::<R>(&answer)))
                }
                Err(status) => {
                    let problem = Problem::from(status);
                    problem.log();
                    Some((Err(Error::new(problem)), None))
                }
            }
        }
    });
    Some(parts.fuse())
}

fn next_part<R: Rest>(answer: &R::Response) -> Option<i32> {
    R::file(answer)
        .map(|file| file.next_part)
        .filter(|part| *part > 0)
}
