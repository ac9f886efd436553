//! One request, one trace: through HTTP, gRPC and the broker.
#![expect(clippy::unwrap_used, reason = "helpers of a test")]

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use journeys::Stack;
use journeys::api::text;
use journeys::people::{admin, course, student, teacher};
use journeys::stack::StackOptions;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use reqwest::Method;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// A service and a trace that it has sent spans of.
type Seen = (String, Vec<u8>);

#[derive(Clone, Default)]
struct Receiver {
    seen: Arc<Mutex<HashSet<Seen>>>,
}

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut seen = self.seen.lock().unwrap();
        for resource in request.into_inner().resource_spans {
            let attributes = resource
                .resource
                .map(|resource| resource.attributes)
                .unwrap_or_default();
            let name = attributes
                .into_iter()
                .find(|attribute| attribute.key == "service.name");
            let value = name
                .and_then(|attribute| attribute.value)
                .and_then(|value| value.value);
            let Some(Value::StringValue(name)) = value else {
                continue;
            };
            for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                seen.insert((name.clone(), span.trace_id));
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_runs_through_gateway_enrollment_and_notification() {
    let receiver = Receiver::default();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = tonic::transport::Server::builder().add_service(TraceServiceServer::new(receiver.clone()));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    let options = StackOptions {
        environment: vec![("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), endpoint)],
        ..StackOptions::default()
    };
    let stack = Stack::start_with(options).await;
    let boss = admin(&stack).await;
    let (deniz, ada) = (
        teacher(&stack, &boss, "deniz").await,
        student(&stack, "ada").await,
    );
    let course = text(&course(&deniz, "Course").await, "id").to_owned();

    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let path = format!("/api/v1/courses/{course}/enroll");
    ada.api
        .send(Method::POST, &path, None, &[("traceparent", &parent)])
        .await
        .expect(201);
    let id: Vec<u8> = (0..16)
        .map(|at| u8::from_str_radix(&trace[at * 2..at * 2 + 2], 16).unwrap())
        .collect();
    stack
        .eventually(|| async {
            let seen = receiver.seen.lock().unwrap();
            ["gateway", "enrollment", "notification"]
                .iter()
                .all(|service| seen.contains(&((*service).to_owned(), id.clone())))
                .then_some(())
        })
        .await;
}
