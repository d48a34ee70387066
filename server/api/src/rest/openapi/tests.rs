use super::*;

fn walk(value: &Value, visit: &mut impl FnMut(&Value)) {
    visit(value);
    match value {
        Value::Object(map) => map.values().for_each(|v| walk(v, visit)),
        Value::Array(list) => list.iter().for_each(|v| walk(v, visit)),
        _ => {}
    }
}

#[test]
fn every_reference_resolves() {
    let document = openapi();
    let mut seen = 0;
    walk(&document, &mut |value| {
        if let Some(target) = value.get("$ref").and_then(Value::as_str) {
            seen += 1;
            assert!(document.pointer(target.trim_start_matches('#')).is_some(), "{target}");
        }
    });
    assert!(seen > 30);
}

#[test]
fn every_route_is_described_once() {
    let document = openapi();
    let mut ids = BTreeSet::new();
    for route in &ROUTES.0 {
        let operation = &document["paths"][&route.template][route.http.as_str().to_lowercase()];
        let id = operation["operationId"].as_str().expect("an id");
        assert!(ids.insert(id.to_owned()), "{id} is there twice");
        assert!(!operation["description"].as_str().unwrap().is_empty(), "{id} has no comment");
        for parameter in operation["parameters"].as_array().unwrap() {
            assert!(!parameter["description"].as_str().unwrap().is_empty(), "{id} {parameter}");
        }
        let secured = !operation["security"].as_array().unwrap().is_empty();
        assert_eq!(secured, route.method.access.session, "{id}");
    }
}

#[test]
fn the_blob_path_says_what_it_does() {
    let document = openapi();
    let path = &document["paths"]["/v1/storage/{project_id}/{env_name}"];
    let put = &path["put"];
    assert!(put["requestBody"]["content"]["application/octet-stream"].is_object());
    let header = |name: &str| {
        put["parameters"].as_array().unwrap().iter().find(|p| p["name"] == name).cloned().unwrap()
    };
    assert_eq!(header("veil-seal")["required"], true);
    assert_eq!(header("if-match")["required"], false);
    assert_eq!(header("project_id")["in"], "path");
    let get = &path["get"];
    for code in ["200", "206", "304", "default"] {
        assert!(get["responses"][code].is_object(), "{code}");
    }
    assert!(get["responses"]["200"]["headers"]["veil-seal"].is_object());
    let names: Vec<&str> =
        get["parameters"].as_array().unwrap().iter().filter_map(|p| p["name"].as_str()).collect();
    assert!(names.contains(&"version") && names.contains(&"range") && !names.contains(&"offset"));
    assert!(path["head"]["responses"]["200"].is_object());
}

#[test]
fn the_document_is_the_same_every_time() {
    assert_eq!(openapi().to_string(), openapi().to_string());
}
