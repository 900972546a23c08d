//! Draws values as a heat map, with wgpu on a canvas.

use std::error::Error;
use web_sys::HtmlCanvasElement;
use wgpu::{CurrentSurfaceTexture, LoadOp, Operations, StoreOp, SurfaceTarget};

/// Draws values from -1 to 1, one row of `rows` values for each of `columns` columns.
pub async fn draw(
    canvas: HtmlCanvasElement,
    values: &[f32],
    columns: u32,
    rows: u32,
) -> Result<(), Box<dyn Error>> {
    let (width, height) = (canvas.width(), canvas.height());
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let surface = instance.create_surface(SurfaceTarget::Canvas(canvas))?;
    let options =
        wgpu::RequestAdapterOptions { compatible_surface: Some(&surface), ..Default::default() };
    let adapter = instance.request_adapter(&options).await?;
    let (device, queue) = adapter.request_device(&wgpu::DeviceDescriptor::default()).await?;
    let config = surface.get_default_config(&adapter, width, height);
    let config = config.ok_or("the adapter can't draw on the canvas")?;
    surface.configure(&device, &config);

    let module = device.create_shader_module(wgpu::include_wgsl!("canvas.wgsl"));
    let pipeline = device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
        label: Some("heat map"),
        layout: None,
        vertex: wgpu::VertexState {
            module: &module,
            entry_point: Some("corner"),
            compilation_options: Default::default(),
            buffers: &[],
        },
        primitive: Default::default(),
        depth_stencil: None,
        multisample: Default::default(),
        fragment: Some(wgpu::FragmentState {
            module: &module,
            entry_point: Some("colour"),
            compilation_options: Default::default(),
            targets: &[Some(config.format.into())],
        }),
        multiview_mask: None,
        cache: None,
    });
    // The sizes of the picture in pixels and in values, and then the values.
    let sizes = [width as f32, height as f32, columns as f32, rows as f32];
    let bytes: Vec<u8> = sizes.iter().chain(values).flat_map(|value| value.to_le_bytes()).collect();
    let buffer = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("values"),
        size: bytes.len() as u64,
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    queue.write_buffer(&buffer, 0, &bytes);
    let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("values"),
        layout: &pipeline.get_bind_group_layout(0),
        entries: &[wgpu::BindGroupEntry { binding: 0, resource: buffer.as_entire_binding() }],
    });

    let frame = match surface.get_current_texture() {
        CurrentSurfaceTexture::Success(frame) | CurrentSurfaceTexture::Suboptimal(frame) => frame,
        other => return Err(format!("the canvas has no texture: {other:?}").into()),
    };
    let view = frame.texture.create_view(&wgpu::TextureViewDescriptor::default());
    let mut encoder = device.create_command_encoder(&Default::default());
    {
        let target = wgpu::RenderPassColorAttachment {
            view: &view,
            depth_slice: None,
            resolve_target: None,
            ops: Operations { load: LoadOp::Clear(wgpu::Color::BLACK), store: StoreOp::Store },
        };
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            label: Some("heat map"),
            color_attachments: &[Some(target)],
            ..Default::default()
        });
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.draw(0..3, 0..1);
    }
    queue.submit([encoder.finish()]);
    queue.present(frame);
    Ok(())
}
