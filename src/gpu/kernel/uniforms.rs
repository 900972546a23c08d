//! What each kernel is told: structs with the fields of their twins in `shaders/`, under the same
//! names, where their meaning is written. A test compares names, types, offsets and sizes.

use bytemuck::{Pod, Zeroable};

/// The bytes that every uniform gets in the uniform buffer, however few it has.
pub(in crate::gpu) const UNIFORM_BYTES: usize = 128;

/// A struct that a kernel reads from its uniform binding.
pub(in crate::gpu) trait Uniform: Pod {
    const LAYOUT: &'static Layout;
}

/// How a struct lies in memory.
#[derive(Debug, PartialEq)]
pub(in crate::gpu) struct Layout {
    /// Of the struct, in WGSL too.
    pub name: &'static str,
    pub fields: &'static [Field],
    /// In bytes.
    pub size: usize,
}

#[derive(Debug, PartialEq)]
pub(in crate::gpu) struct Field {
    pub name: &'static str,
    /// The name of its type in WGSL.
    pub wgsl_type: &'static str,
    /// In bytes from the start of the struct.
    pub offset: usize,
}

/// A uniform's bytes, and how they are laid out.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::gpu) struct UniformData {
    pub layout: &'static Layout,
    pub bytes: Box<[u8]>,
}

impl<U: Uniform> From<U> for UniformData {
    fn from(uniform: U) -> UniformData {
        UniformData { layout: U::LAYOUT, bytes: bytemuck::bytes_of(&uniform).into() }
    }
}

impl UniformData {
    /// The struct that it was made from; `None`: that was another.
    pub fn read<U: Uniform>(&self) -> Option<U> {
        (self.layout == U::LAYOUT).then(|| bytemuck::pod_read_unaligned(&self.bytes))
    }
}

/// A type that a field of a uniform can have.
trait FieldType {
    const WGSL: &'static str;
}

impl FieldType for u32 {
    const WGSL: &'static str = "u32";
}

impl FieldType for f32 {
    const WGSL: &'static str = "f32";
}

macro_rules! uniforms {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),+ $(,)? })+) => {
        $(
            $(#[$doc])*
            #[repr(C)]
            #[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
            pub(in crate::gpu) struct $name {
                $(pub $field: $type),+
            }

            impl FieldType for $name {
                const WGSL: &'static str = stringify!($name);
            }

            impl Uniform for $name {
                const LAYOUT: &'static Layout = &Layout {
                    name: stringify!($name),
                    fields: &[$(Field {
                        name: stringify!($field),
                        wgsl_type: <$type as FieldType>::WGSL,
                        offset: std::mem::offset_of!($name, $field),
                    }),+],
                    size: size_of::<$name>(),
                };
            }
        )+

        #[cfg(test)]
        pub(in crate::gpu) const LAYOUTS: &[&Layout] = &[$($name::LAYOUT),+];
    };
}

uniforms! {
    /// Of every step, sequence and persistent kernel.
    Recurrence {
        groups: u32,
        units: u32,
        slots: u32,
        first_step: u32,
        steps: u32,
        cell_start: u32,
        mask_start: u32,
        directions: u32,
        zeros: u32,
        first_direction: u32,
        weights_before: u32,
        first_written: u32,
        first_timestep_0: u32,
        first_timestep_1: u32,
        reversed: u32,
        batch: u32,
        timesteps: u32,
        features_padded: u32,
        first_feature_0: u32,
        first_feature_1: u32,
        final_states: u32,
        units_padded: u32,
        groups_at_once: u32,
        looks: u32,
    }
    /// Of every step kernel, in a bind group of its own.
    Step { index: u32 }
    Projection {
        batch: u32,
        groups: u32,
        first_step: u32,
        steps: u32,
        timesteps: u32,
        features4: u32,
        units: u32,
        first_direction: u32,
        reversed: u32,
        segment_start: u32,
        segment_timesteps: u32,
        first_projected: u32,
    }
    /// Of meeting.
    Meeting { workgroups: u32, first_counter: u32, looks: u32 }
    LoadState {
        batch: u32,
        group_rows: u32,
        units: u32,
        units_padded: u32,
        first_direction: u32,
        direction_stride: u32,
        zeros: u32,
        target_start: u32,
    }
    StepMask {
        batch: u32,
        rows: u32,
        mask_padded: u32,
        first_step: u32,
        steps: u32,
        timesteps: u32,
        reversed: u32,
        zero_output: u32,
        mask_start: u32,
        first_direction: u32,
    }
    /// Of merge and merge_last.
    Merge {
        batch: u32,
        groups: u32,
        units: u32,
        slots: u32,
        first_slot: u32,
        first_step: u32,
        timesteps: u32,
        segment_start: u32,
        segment_timesteps: u32,
        features_padded: u32,
        mode: u32,
        written_below: u32,
        group_rows: u32,
        first_start: u32,
        first_mask_start: u32,
        first_feature: u32,
        first_reversed: u32,
        second_start: u32,
        second_mask_start: u32,
        second_first_feature: u32,
        second_reversed: u32,
        steps: u32,
        units_padded: u32,
        start_0: u32,
        start_1: u32,
        start_2: u32,
        start_3: u32,
    }
    FinalStates {
        batch: u32,
        group_rows: u32,
        units: u32,
        units_padded: u32,
        start_0: u32,
        start_1: u32,
        start_2: u32,
    }
    /// Windows along an axis.
    Windows {
        outputs: u32,
        length: u32,
        size: u32,
        strides: u32,
        dilation: u32,
        spread: u32,
        before: u32,
        unused: u32,
    }
    Dense {
        vectors: u32,
        features4: u32,
        columns: u32,
        columns4: u32,
        lanes: u32,
        unused0: u32,
        unused1: u32,
        unused2: u32,
        down: Windows,
        across: Windows,
    }
    GroupedConvolution {
        vectors: u32,
        columns: u32,
        features: u32,
        columns_of_group: u32,
        features_padded: u32,
        columns4: u32,
        unused0: u32,
        unused1: u32,
        down: Windows,
        across: Windows,
    }
    BatchedMatmul {
        matrices: u32,
        rows: u32,
        k: u32,
        columns: u32,
        a_stride: u32,
        columns4: u32,
        axis1: u32,
        axis2: u32,
        axis3: u32,
        a_stride0: u32,
        a_stride1: u32,
        a_stride2: u32,
        a_stride3: u32,
        b_stride0: u32,
        b_stride1: u32,
        b_stride2: u32,
        b_stride3: u32,
    }
    Unary { vectors: u32, features: u32, features4: u32, function: u32, divisor: f32 }
    Elementwise {
        vectors: u32,
        features: u32,
        features4: u32,
        relu: u32,
        negative_slope: f32,
        max_value: f32,
        threshold: f32,
        lowest: f32,
    }
    Affine {
        values: u32,
        features: u32,
        features_padded: u32,
        axis1: u32,
        axis2: u32,
        stride0: u32,
        stride1: u32,
        stride2: u32,
        stride3: u32,
        prelu: u32,
    }
    /// An array beside a walk.
    Side {
        offset: u32,
        stride0: u32,
        stride1: u32,
        stride2: u32,
        stride3: u32,
        stride4: u32,
        stride5: u32,
        features: u32,
    }
    MoveValues {
        values: u32,
        axis1: u32,
        axis2: u32,
        axis3: u32,
        axis4: u32,
        axis5: u32,
        fill: u32,
        number: f32,
        source: Side,
        destination: Side,
    }
    Broadcast {
        values: u32,
        axis1: u32,
        axis2: u32,
        axis3: u32,
        axis4: u32,
        axis5: u32,
        function: u32,
        features: u32,
        a: Side,
        b: Side,
        c: Side,
    }
    Reduce {
        outputs: u32,
        kept1: u32,
        kept2: u32,
        kept_stride0: u32,
        kept_stride1: u32,
        kept_stride2: u32,
        length0: u32,
        length1: u32,
        length2: u32,
        stride0: u32,
        stride1: u32,
        stride2: u32,
        x_features: u32,
        features: u32,
        function: u32,
    }
    CombineMasked {
        values: u32,
        features: u32,
        features_padded: u32,
        source_features: u32,
        source_padded: u32,
        timesteps: u32,
        timesteps_padded: u32,
        operation: u32,
        has_source_mask: u32,
        has_destination_mask: u32,
    }
    Normalize {
        vectors: u32,
        features: u32,
        features_padded: u32,
        mode: u32,
        epsilon: f32,
        has_gamma: u32,
        has_beta: u32,
    }
    Pool {
        vectors: u32,
        features4: u32,
        mean: u32,
        masked: u32,
        down: Windows,
        across: Windows,
    }
    Gather {
        values: u32,
        behind: u32,
        length: u32,
        places: u32,
        x_features: u32,
        ids_features: u32,
        features: u32,
        from_end: u32,
    }
    Scatter {
        values: u32,
        of_a_row: u32,
        rows: u32,
        source_features: u32,
        features: u32,
    }
    Masking {
        vectors: u32,
        features: u32,
        features_padded: u32,
        mask_value: f32,
    }
    MaskValues {
        vectors: u32,
        features: u32,
        features_padded: u32,
        timesteps: u32,
        mask_padded: u32,
        mask_value: f32,
    }
    AttentionScores {
        rows: u32,
        heads: u32,
        queries: u32,
        keys: u32,
        size: u32,
        query_padded: u32,
        key_padded: u32,
        keys4: u32,
        mode: u32,
        causal: u32,
        replace: u32,
        masks: u32,
        query_mask_padded: u32,
        key_mask_padded: u32,
        query_factor: f32,
        has_bias: u32,
        bias_row: u32,
        bias_head: u32,
        bias_query: u32,
        bias_key: u32,
    }
    AttentionApply {
        rows: u32,
        heads: u32,
        queries: u32,
        keys: u32,
        size: u32,
        keys4: u32,
        value4: u32,
        output4: u32,
        masked: u32,
        mask_padded: u32,
    }
}
