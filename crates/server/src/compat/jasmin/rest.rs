//! The REST API: `/secure/send`, `/secure/sendbatch`, `/secure/rate` and `/secure/balance`, with Basic credentials. Names of
//! arguments may have `_` instead of `-`.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Request, Response, StatusCode, request};
use axum::routing::{get, post};
use serde_json::{Map, Value};

use super::credentials::{Credentials, argument_name, fields_of, push_credentials};
use super::{answers, batch, send, values};
use crate::body;
use crate::compat::account;
use crate::compat::query::LenientFields;
use crate::denial::Denial;
use postrider_core::request_origin;
use postrider_engine::config::Scope;
use postrider_engine::gateway::Gateway;
use postrider_engine::request_load::BodySender;

/// Returns the routes of the REST API.
pub(super) fn routes() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/secure/send", post(secure_send))
        .route("/secure/sendbatch", post(send_batch))
        .route("/secure/rate", get(secure_rate))
        .route("/secure/balance", get(secure_balance))
}

async fn secure_send(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response<Body> {
    let (head, content) = request.into_parts();
    let read = async {
        let credentials = read_credentials(&head.headers)?;
        let sender = body_sender(&gateway, &head, &credentials);
        let object = read_object(&gateway, &head.headers, content, sender).await?;
        Ok::<_, Box<Response<Body>>>(fields_of(&credentials, &object))
    };
    match read.await {
        Ok(fields) => answers::secure_send_response(send::send(&gateway, &head.extensions, &fields).await),
        Err(response) => *response,
    }
}

async fn send_batch(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response<Body> {
    let (head, content) = request.into_parts();
    let read = async {
        let credentials = read_credentials(&head.headers)?;
        let sender = body_sender(&gateway, &head, &credentials);
        let object = read_object(&gateway, &head.headers, content, sender).await?;
        Ok::<_, Box<Response<Body>>>((credentials, object))
    };
    match read.await {
        Ok((credentials, object)) => {
            batch::send_batch(&gateway, &head.extensions, &credentials, &object).await
        }
        Err(response) => *response,
    }
}

async fn secure_rate(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response<Body> {
    match read_query(&request) {
        Ok(fields) => answers::secure_json_response(values::rate(&gateway, request.extensions(), &fields)),
        Err(response) => *response,
    }
}

async fn secure_balance(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response<Body> {
    match read_query(&request) {
        Ok(fields) => answers::secure_json_response(values::balance(&gateway, request.extensions(), &fields)),
        Err(response) => *response,
    }
}

fn read_query(request: &Request<Body>) -> Result<LenientFields, Box<Response<Body>>> {
    let credentials = read_credentials(request.headers())?;
    let query = LenientFields::parse(request.uri().query().unwrap_or_default().as_bytes());
    let mut fields = LenientFields::default();
    push_credentials(&mut fields, &credentials);
    for name in query.names() {
        let name = String::from_utf8_lossy(name).into_owned();
        if let Some(value) = query.bytes(&[&name]) {
            fields.push(&argument_name(&name), value);
        }
    }
    Ok(fields)
}

/// Returns the credentials of the `Authorization` header, or the answer to a request without them.
fn read_credentials(headers: &HeaderMap) -> Result<Credentials, Box<Response<Body>>> {
    // Browsers add Basic credentials by themselves, also to the requests of other sites.
    if request_origin::is_cross_site(headers) {
        return Err(Box::new(answers::titled_response(
            StatusCode::FORBIDDEN,
            "Forbidden",
            "requests from other sites are refused",
            Some(Denial::CrossSite),
        )));
    }
    let credentials = account::basic_credentials(headers);
    credentials.map(|(user, password)| Credentials { user, password }).ok_or_else(|| {
        Box::new(answers::titled_response(
            StatusCode::UNAUTHORIZED,
            "Authentication required",
            "send user and password in a Basic Authorization header",
            Some(Denial::MissingKey),
        ))
    })
}

/// Returns whether the credentials are right. A request with wrong ones is read as well, because Jasmin's answer depends on
/// its arguments, but only up to the length for unknown senders.
fn body_sender(gateway: &Gateway, head: &request::Parts, credentials: &Credentials) -> BodySender {
    let Credentials { user, password } = credentials;
    match account::authorize(gateway, &head.extensions, user, password, Scope::Send) {
        Ok(_) => BodySender::Authenticated,
        Err(_) => BodySender::Unauthenticated,
    }
}

/// Reads the body as a JSON object, or returns the answer to another body.
async fn read_object(
    gateway: &Gateway,
    headers: &HeaderMap,
    content: Body,
    sender: BodySender,
) -> Result<Map<String, Value>, Box<Response<Body>>> {
    let unparsable = |description: String| {
        Box::new(answers::titled_response(
            StatusCode::PRECONDITION_FAILED,
            "Cannot parse JSON data",
            &description,
            None,
        ))
    };
    let body = body::read(gateway, headers, content, sender).await;
    let body = body.map_err(|error| unparsable(error.message()))?;
    match serde_json::from_slice(&body) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(unparsable("the body must be a JSON object".to_owned())),
    }
}
