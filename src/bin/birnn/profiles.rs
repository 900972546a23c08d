//! Where the time of calls goes, as JSON and as a trace.

use anyhow::Result;
use birnn::Profile;
use serde_json::{Value, json};

pub fn as_json(profile: &Profile) -> Value {
    let operators = profile.operators().into_iter().map(|row| {
        json!({
            "layer": row.layer,
            "operator": row.operator,
            "kernels": row.kernels,
            "shape": row.shape,
            "count": row.count,
            "seconds": row.total.as_secs_f64(),
            "share": row.share,
        })
    });
    let host = profile.host().into_iter().map(|(what, time)| (what.to_string(), time));
    let host = host.map(|(what, time)| (what, Value::from(time.as_secs_f64()))).collect();
    json!({
        "calls": profile.calls,
        "seconds": profile.total.as_secs_f64(),
        "operators": operators.collect::<Value>(),
        "outside_seconds": profile.outside().as_secs_f64(),
        "host_seconds": Value::Object(host),
    })
}

/// Chrome's trace events of several profiles, each with what it is called: a process each.
pub fn trace<'a>(profiles: impl Iterator<Item = (String, &'a Profile)>) -> Result<String> {
    let mut events = Vec::new();
    for (process, (name, profile)) in (1..).zip(profiles) {
        let mut trace: Value = serde_json::from_str(&profile.trace())?;
        if let Some(Value::Array(own)) = trace.get_mut("traceEvents").map(Value::take) {
            for mut event in own {
                event["pid"] = json!(process);
                if event["name"] == "process_name" {
                    event["args"] = json!({ "name": name });
                }
                events.push(event);
            }
        }
    }
    Ok(json!({ "displayTimeUnit": "ms", "traceEvents": events }).to_string())
}
