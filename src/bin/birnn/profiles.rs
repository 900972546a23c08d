//! Where the time of calls goes, as tables, as JSON and as a trace.

use anyhow::Result;
use birnn::Profile;
use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use serde_json::{Value, json};
use std::io::Write;

/// A table of a profile's operators, in milliseconds of a call.
pub fn print(out: &mut impl Write, profile: &Profile) -> Result<()> {
    let calls = profile.calls.max(1) as f64;
    let milliseconds =
        |time: std::time::Duration| format!("{:.4}", time.as_secs_f64() * 1e3 / calls);
    let all = profile.total.as_secs_f64().max(f64::MIN_POSITIVE);
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let mut table = Table::new();
    let titles = ["Layer", "Operator", "Kernels", "Shape", "Count", "ms", "Share"];
    table.load_style(UTF8_FULL_CONDENSED).set_header(titles);
    for row in profile.operators() {
        table.add_row([
            row.layer,
            row.operator.to_string(),
            row.kernels.join(", "),
            format!("{:?}", row.shape),
            row.count.to_string(),
            milliseconds(row.total),
            percent(row.share),
        ]);
    }
    for (what, time) in [("outside of operators", profile.outside()), ("all", profile.total)] {
        let share = percent(time.as_secs_f64() / all);
        table.add_row([what, "", "", "", "", milliseconds(time).as_str(), share.as_str()]);
    }
    let numbers = table.column_iter_mut().skip(4);
    numbers.for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    writeln!(out, "{table}")?;
    let host = profile.host();
    let host = host.iter().map(|(what, time)| format!("{what} {}", milliseconds(*time)));
    writeln!(out, "On the host, ms: {}", host.collect::<Vec<_>>().join(", "))?;
    let n = profile.calls;
    writeln!(out, "Times are means of {n} calls, counts those of all {n} together.")?;
    Ok(())
}

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
