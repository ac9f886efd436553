//! Long files: asked for part by part while the client takes them, so that no process ever holds one whole (C-DB-14).

use std::sync::Arc;

use axum::Error;
use bytes::Bytes;
use futures::stream::unfold;
use futures::{Stream, StreamExt};
use problem::Problem;
use request_context::RequestContext;
use rpc_client::RpcClient;

use super::endpoint::{Answer, Content, Endpoint};

/// What comes behind the first part; `None` where that was all. A part that fails breaks the answer off, so that the client knows.
pub fn rest_of(
    endpoint: &Endpoint,
    first: &Answer,
    request: Bytes,
    client: &RpcClient,
    context: &RequestContext,
) -> Option<impl Stream<Item = Result<Bytes, Error>> + Send + use<>> {
    let next = next_part(first)?;
    // Each part has its own time; a client may take long.
    let context = Arc::new(RequestContext {
        deadline: None,
        ..context.clone()
    });
    let (endpoint, client) = (*endpoint, client.clone());
    // Fused: what compresses the answer asks again at its end.
    let parts = unfold(Some(next), move |part| {
        let (request, client, context) = (request.clone(), client.clone(), Arc::clone(&context));
        async move {
            let part = part?;
            let Some(request) = (endpoint.for_part)(&request, part) else {
                let fault = Problem::internal("a file of parts that cannot be asked for");
                return Some((Err(Error::new(fault)), None));
            };
            let call = client.call_encoded(endpoint.method, request);
            let answer = request_context::scope(context, call).await.map_err(Problem::from);
            match answer.and_then(|answer| (endpoint.read)(answer.into_inner())) {
                Ok(answer) => {
                    let next = next_part(&answer);
                    let content = match answer.content {
                        Content::File(file) => file.content,
                        _ => Bytes::new(),
                    };
                    Some((Ok(content), next))
                }
                Err(problem) => {
                    problem.log();
                    Some((Err(Error::new(problem)), None))
                }
            }
        }
    });
    Some(parts.fuse())
}

fn next_part(answer: &Answer) -> Option<i32> {
    match &answer.content {
        Content::File(file) => Some(file.next_part).filter(|part| *part > 0),
        _ => None,
    }
}
