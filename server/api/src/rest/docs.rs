//! `/docs`: Swagger UI over `/openapi.json`, and a page for each error reason (the `type` of a problem names it). All of it
//! is in this binary; the pages load nothing from elsewhere and run no inline script or style.

use std::{fmt::Write, future::Future, sync::LazyLock};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, header};
use sha2::{Digest, Sha256};
use swagger_ui_redist::{SwaggerUi, SwaggerUiStaticFile};

use super::{
    Refusal, Rest, not_here,
    openapi::{Reason, openapi, reasons},
    other_method,
};
use crate::gate::trace::Trace;

/// Where everything here lies.
const PREFIX: &str = "/docs";
/// The document of this contract.
const OPENAPI: &str = "/openapi.json";
/// Policy of the pages: own files, and the pictures that the style sheet carries in itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// A new version of the server may bring new ones; a browser asks each time and is mostly told that nothing changed.
const CACHE: &str = "no-cache";
const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

const INDEX: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>VeilCloud: REST</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"#;

/// Proofs are good for one request, so the page keeps no credential and asks no validator.
const START: &str = r##"window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  persistAuthorization: false,
  validatorUrl: null,
});
"##;

const PAGE_STYLE: &str = "body { font: 1rem/1.5 sans-serif; max-width: 45rem; margin: 2rem auto; padding: 0 1rem }\n\
                          th { text-align: left; padding-right: 2rem }\n";

/// A file with its type and its entity tag.
struct File {
    kind: &'static str,
    bytes: Bytes,
    etag: HeaderValue,
}

impl File {
    fn new(kind: &'static str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(&bytes)[..15]);
        let etag = HeaderValue::try_from(format!("\"{digest}\"")).expect("hexadecimal digits in quotes");
        Self { kind, bytes, etag }
    }
}

/// Every file by its path.
static FILES: LazyLock<Vec<(String, File)>> = LazyLock::new(|| {
    let of = |path: &str, file: File| (path.to_owned(), file);
    let mut files = vec![
        of(OPENAPI, File::new("application/json", openapi().to_string())),
        of(PREFIX, File::new(HTML, INDEX)),
        of("/docs/", File::new(HTML, INDEX)),
        of("/docs/start.js", File::new(SCRIPT, START)),
        of("/docs/page.css", File::new(STYLE, PAGE_STYLE)),
    ];
    for (name, bytes) in SwaggerUi::static_files() {
        match name {
            SwaggerUiStaticFile::Js => {
                files.push(of("/docs/swagger-ui-bundle.js", File::new(SCRIPT, *bytes)));
            }
            SwaggerUiStaticFile::Css => files.push(of("/docs/swagger-ui.css", File::new(STYLE, *bytes))),
            _ => {}
        }
    }
    let reasons = reasons();
    files.push(of("/docs/errors", File::new(HTML, list(&reasons))));
    let pages = reasons.iter().map(|reason| (format!("/docs/errors/{}", reason.word), reason));
    files.extend(pages.map(|(path, reason)| (path, File::new(HTML, page(reason)))));
    files
});

impl Rest {
    /// Answers below `/docs`, and with the document itself; `None` when the path is another's. The reader's address pays.
    pub(super) fn documentation(
        &self,
        request: &Request<Body>,
    ) -> Option<impl Future<Output = Result<Response<Body>, Refusal>> + Send + use<>> {
        let path = request.uri().path();
        let below = path.strip_prefix(PREFIX).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if path != OPENAPI && !below {
            return None;
        }
        Trace::of(request).name("docs");
        let file = FILES.iter().find(|(known, _)| known == path).map(|(_, file)| file);
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        let had = request.headers().get(header::IF_NONE_MATCH).cloned();
        let (gate, address) = (self.gate.clone(), self.gate.address_of(request));
        Some(async move {
            gate.take_anonymous(address).await?;
            // Whatever is here or not: nothing below takes another method.
            if !reads {
                return Err(other_method("GET, HEAD"));
            }
            Ok(answer(file.ok_or_else(not_here)?, had.as_ref()))
        })
    }
}

fn answer(file: &File, had: Option<&HeaderValue>) -> Response<Body> {
    let same = had.is_some_and(|had| *had == file.etag);
    let mut response = Response::new(if same { Body::empty() } else { Body::from(file.bytes.clone()) });
    let headers = response.headers_mut();
    headers.insert(header::ETAG, file.etag.clone());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(CACHE));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.kind));
    if same {
        *response.status_mut() = http::StatusCode::NOT_MODIFIED;
    }
    response
}

fn document(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
         <link rel=\"stylesheet\" href=\"/docs/page.css\">\n</head>\n<body>\n{body}</body>\n</html>\n"
    )
}

fn page(reason: &Reason) -> String {
    let mut body = format!("<h1>{}</h1>\n<p>{}</p>\n<table>\n", reason.word, text(&reason.meaning));
    let rows = [
        ("title", text(reason.title)),
        ("HTTP", reason.http.to_string()),
        ("gRPC", reason.grpc.to_owned()),
        ("metadata", text(&reason.metadata.join(", "))),
    ];
    for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        writeln!(body, "<tr><th>{name}</th><td>{value}</td></tr>").expect("a string takes everything");
    }
    write!(body, "</table>\n<h2>What to do</h2>\n<p>{}</p>\n", text(&reason.remedy))
        .expect("a string takes everything");
    body.push_str("<p><a href=\"/docs/errors\">All errors</a></p>\n");
    document(reason.word, &body)
}

fn list(reasons: &[Reason]) -> String {
    let mut body = String::from("<h1>Errors</h1>\n<table>\n");
    for reason in reasons {
        let (word, meaning) = (reason.word, text(&reason.meaning));
        writeln!(body, "<tr><th><a href=\"/docs/errors/{word}\">{word}</a></th><td>{meaning}</td></tr>")
            .expect("a string takes everything");
    }
    body.push_str("</table>\n");
    document("Errors", &body)
}

/// Text as HTML.
fn text(plain: &str) -> String {
    plain.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> &'static File {
        let found = FILES.iter().find(|(known, _)| known == path);
        &found.unwrap_or_else(|| panic!("there is no {path}")).1
    }

    #[test]
    fn the_pages_load_only_files_that_are_here_and_run_nothing_inline() {
        for (path, page) in FILES.iter().filter(|(_, file)| file.kind == HTML) {
            let page = std::str::from_utf8(&page.bytes).unwrap();
            for part in page.split("src=\"").skip(1).chain(page.split("href=\"").skip(1)) {
                let target = part.split('"').next().unwrap();
                assert!(target.starts_with('/'), "{path} loads {target}");
                file(target);
            }
            for script in page.split("<script").skip(1) {
                assert!(script.contains("\"></script>"), "{path} runs {script}");
            }
            assert!(!page.contains("<style") && !page.contains("style="), "{path} has a style in it");
        }
        assert!(!POLICY.contains("unsafe") && !POLICY.contains("http"));
        assert!(!START.contains("http"));
    }

    #[test]
    fn every_reason_has_its_page_and_its_place_in_the_list() {
        let list = std::str::from_utf8(&file("/docs/errors").bytes).unwrap();
        for reason in reasons() {
            let path = format!("/docs/errors/{}", reason.word);
            let page = std::str::from_utf8(&file(&path).bytes).unwrap();
            assert!(page.contains(&text(&reason.remedy)) && list.contains(&path), "{path}");
        }
    }

    #[test]
    fn text_is_no_markup() {
        assert_eq!(text("<a href=\"x\">&</a>"), "&lt;a href=&quot;x&quot;&gt;&amp;&lt;/a&gt;");
    }
}
