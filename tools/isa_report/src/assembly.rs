//! What the machine code's innermost busy loop consists of.

use std::collections::HashMap;

/// Instructions of a loop by what they do.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Mix {
    /// Vector arithmetic.
    pub valu: u32,
    /// Of it multiply-adds; a packed or dual one counts as one.
    pub multiply_add: u32,
    /// Loads of vectors by lanes, and of them those of 16 bytes.
    pub loads: u32,
    pub wide_loads: u32,
    /// Loads that all lanes share.
    pub scalar_loads: u32,
    /// Reads and writes of workgroup memory.
    pub workgroup: u32,
    pub all: u32,
}

impl Mix {
    /// The share of multiply-adds in the vector arithmetic, in percent.
    pub fn multiply_add_percent(&self) -> Option<u32> {
        (self.valu > 0).then(|| (100 * self.multiply_add + self.valu / 2) / self.valu)
    }

    fn add(&mut self, instruction: &str) {
        self.all += 1;
        let is = |prefixes: &[&str]| prefixes.iter().any(|prefix| instruction.starts_with(prefix));
        if is(&["v_"]) {
            self.valu += 1;
            let fused = ["fma", "fmac", "mad_f", "mac_f", "mad_legacy", "mad_mix", "dot2"];
            self.multiply_add += u32::from(fused.iter().any(|name| instruction.contains(name)));
        }
        if is(&["global_load", "buffer_load", "flat_load", "scratch_load"]) {
            self.loads += 1;
            self.wide_loads +=
                u32::from(instruction.contains("b128") || instruction.contains("dwordx4"));
        }
        self.scalar_loads += u32::from(is(&["s_load", "s_buffer_load"]));
        self.workgroup += u32::from(is(&["ds_"]));
    }
}

/// The loop with the most multiply-adds that holds no other loop; of a kernel without loops, all of
/// it.
pub fn inner_loop(assembly: &str) -> Mix {
    let lines: Vec<&str> = assembly.lines().map(str::trim).collect();
    let label = |line: &str| line.strip_suffix(':').map(str::to_string);
    let labels: HashMap<String, usize> =
        lines.iter().enumerate().filter_map(|(at, line)| Some((label(line)?, at))).collect();
    // A branch back to a label closes a loop.
    let back = lines.iter().enumerate().filter_map(|(at, line)| {
        let mut words = line.split_whitespace();
        let branch = words
            .next()
            .filter(|word| word.starts_with("s_branch") || word.starts_with("s_cbranch"));
        let target = branch.and_then(|_| words.next()).and_then(|target| labels.get(target));
        target.filter(|&&target| target <= at).map(|&target| (target, at))
    });
    let loops: Vec<(usize, usize)> = back.collect();
    let innermost = loops.iter().filter(|(from, to)| {
        !loops
            .iter()
            .any(|(a, b)| (a, b) != (from, to) && a >= from && b <= to && b - a < to - from)
    });
    let mixes = innermost.map(|&(from, to)| mix(&lines[from..=to]));
    let busiest = mixes.max_by_key(|mix| (mix.multiply_add, mix.all));
    busiest.filter(|mix| mix.multiply_add > 0).unwrap_or_else(|| mix(&lines))
}

fn mix(lines: &[&str]) -> Mix {
    let mut mix = Mix::default();
    for line in lines {
        let instruction = line.split_whitespace().next().unwrap_or_default();
        let known = ["v_", "s_", "global_", "buffer_", "flat_", "scratch_", "ds_"];
        if known.iter().any(|prefix| instruction.starts_with(prefix)) {
            mix.add(instruction);
            // RDNA 3 issues two vector instructions as one line: v_dual_fmac_f32 ... ::
            // v_dual_fmac_f32 ...
            if let Some((_, second)) = line.split_once("::") {
                mix.add(second.trim());
            }
        }
    }
    mix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_innermost_loop_is_counted() {
        let assembly = "
            s_load_b128 s[0:3], s[4:5], 0x0
        BB1:
            v_add_f32 v0, v1, v2
        BB2:
            buffer_load_b128 v[0:3], v9, s[0:3], 0 offen ; e0
            v_fmac_f32_e32 v4, v0, v1
            v_dual_fmac_f32 v5, v0, v2 :: v_dual_fmac_f32 v6, v0, v3
            v_add_nc_u32_e32 v9, 16, v9
            ds_load_b32 v7, v8
            s_cbranch_scc0 BB2
            s_cbranch_scc1 BB1
            s_endpgm";
        let mix = inner_loop(assembly);
        let expected = Mix {
            valu: 4,
            multiply_add: 3,
            loads: 1,
            wide_loads: 1,
            scalar_loads: 0,
            workgroup: 1,
            all: 7,
        };
        assert_eq!(mix, expected);
        assert_eq!(mix.multiply_add_percent(), Some(75));
    }

    #[test]
    fn a_kernel_without_a_loop_is_counted_whole() {
        assert_eq!(inner_loop("BB0:\n v_mov_b32 v0, 1\n s_endpgm").all, 2);
        assert_eq!(inner_loop(""), Mix::default());
    }
}
