/*
 * Draws a slice of 16-bit pixels on a canvas with WebGL 2.
 *
 * The pixels go to the graphics card as they came; interpolation happens on the stored values and
 * the window after it, in floating point, so that a narrow window still shows every grey. Where the
 * image is drawn smaller than it is, the mean over a screen pixel is shown: picking single pixels
 * would make noise look stronger than it is.
 */
import { fit } from "./processor.js";

const VERTEX = `#version 300 es
void main() {
  gl_Position = vec4(vec2(gl_VertexID % 2, gl_VertexID / 2) * 4.0 - 1.0, 0.0, 1.0);
}`;

const FRAGMENT = `#version 300 es
precision highp float;
precision highp int;
precision highp usampler2D;
uniform usampler2D slice;
uniform vec2 image;    // columns, rows
uniform vec2 canvas;   // device pixels
uniform vec2 corner;   // of the image, in device pixels from the canvas' upper left
uniform vec2 perPixel; // image pixels a device pixel
uniform vec2 levels;   // lowest value shown, width of the window
uniform bool interpolated;
uniform bool inverted;
uniform vec4 lens;     // centre x, y and radius in device pixels, magnification; radius 0: none
out vec4 colour;

float at(ivec2 p) {
  return float(texelFetch(slice, clamp(p, ivec2(0), ivec2(image) - 1), 0).r);
}

float between(vec2 p) {
  vec2 q = p - 0.5;
  ivec2 i = ivec2(floor(q));
  vec2 f = q - floor(q);
  return mix(
    mix(at(i), at(i + ivec2(1, 0)), f.x),
    mix(at(i + ivec2(0, 1)), at(i + ivec2(1, 1)), f.x), f.y);
}

void main() {
  vec2 here = vec2(gl_FragCoord.x, canvas.y - gl_FragCoord.y);
  vec2 scale = perPixel;
  vec2 from = here;
  if (lens.z > 0.0) {
    vec2 off = here - lens.xy;
    float away = length(off);
    if (away < lens.z) {
      if (away > lens.z - 1.5) { colour = vec4(0.50, 0.62, 0.66, 1.0); return; }
      from = lens.xy + off / lens.w;
      scale = perPixel / lens.w;
    }
  }
  vec2 p = (from - corner) * perPixel;
  if (p.x < 0.0 || p.y < 0.0 || p.x >= image.x || p.y >= image.y) {
    colour = vec4(0.0, 0.0, 0.0, 1.0);
    return;
  }
  float value = 0.0;
  if (!interpolated) {
    value = at(ivec2(floor(p)));
  } else {
    ivec2 n = clamp(ivec2(ceil(scale / 1.5)), ivec2(1), ivec2(4));
    for (int y = 0; y < n.y; y++)
      for (int x = 0; x < n.x; x++)
        value += between(p + ((vec2(x, y) + 0.5) / vec2(n) - 0.5) * scale);
    value /= float(n.x * n.y);
  }
  float grey = clamp((value - levels.x) / levels.y, 0.0, 1.0);
  colour = vec4(vec3(inverted ? 1.0 - grey : grey), 1.0);
}`;

const UNIFORMS = [
  "image",
  "canvas",
  "corner",
  "perPixel",
  "levels",
  "interpolated",
  "inverted",
  "lens",
];

/* Not every browser heeds failIfMajorPerformanceCaveat, so the renderer's name is asked too. */
const EMULATORS = /swiftshader|llvmpipe|softpipe|software|basic render/i;

function isEmulated(gl) {
  const names = gl.getExtension("WEBGL_debug_renderer_info");
  const name = gl.getParameter(names ? names.UNMASKED_RENDERER_WEBGL : gl.RENDERER);
  return EMULATORS.test(String(name));
}

function compile(gl, type, source) {
  const shader = gl.createShader(type);
  gl.shaderSource(shader, source);
  gl.compileShader(shader);
  return shader;
}

export class WebGLPainter {
  static kind = "webgl2";

  /** Null where there is no WebGL 2, or none but an emulated one. */
  static make(canvas, { emulated = false } = {}) {
    const gl = canvas.getContext("webgl2", {
      alpha: false,
      antialias: false,
      depth: false,
      stencil: false,
      failIfMajorPerformanceCaveat: !emulated,
    });
    return gl && (emulated || !isEmulated(gl)) ? new WebGLPainter(canvas, gl) : null;
  }

  constructor(canvas, gl) {
    this.canvas = canvas;
    this.gl = gl;
    this.lost = false;
    canvas.addEventListener("webglcontextlost", (event) => {
      event.preventDefault(); // asks the browser to restore it
      this.lost = true;
    });
    canvas.addEventListener("webglcontextrestored", () => {
      this.lost = false;
      this.prepare();
      this.onRestored?.();
    });
    this.prepare();
  }

  prepare() {
    const { gl } = this;
    const program = gl.createProgram();
    gl.attachShader(program, compile(gl, gl.VERTEX_SHADER, VERTEX));
    gl.attachShader(program, compile(gl, gl.FRAGMENT_SHADER, FRAGMENT));
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
      throw new Error(`The images cannot be drawn: ${gl.getProgramInfoLog(program)}`);
    }
    gl.useProgram(program);
    this.where = Object.fromEntries(
      UNIFORMS.map((name) => [name, gl.getUniformLocation(program, name)]),
    );
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    for (const [name, value] of [
      [gl.TEXTURE_MIN_FILTER, gl.NEAREST],
      [gl.TEXTURE_MAG_FILTER, gl.NEAREST],
      [gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE],
      [gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE],
    ]) {
      gl.texParameteri(gl.TEXTURE_2D, name, value);
    }
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    this.pixels = null; // what the texture holds
    this.shape = "";
  }

  /** `placed` as from placement.js; `lens` {x, y, radius, magnification} in CSS pixels, or null. */
  draw({ pixels, columns, rows, size, placed, ratio, low, width, invert, smooth, lens }) {
    const { gl, where, canvas } = this;
    if (this.lost) return;
    fit(canvas, size);
    if (this.pixels !== pixels) this.upload(pixels, columns, rows);
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.uniform2f(where.image, columns, rows);
    gl.uniform2f(where.canvas, canvas.width, canvas.height);
    gl.uniform2f(where.corner, placed.left * ratio, placed.top * ratio);
    gl.uniform2f(where.perPixel, 1 / (placed.x * ratio), 1 / (placed.y * ratio));
    gl.uniform2f(where.levels, low, width);
    gl.uniform1i(where.interpolated, smooth ? 1 : 0);
    gl.uniform1i(where.inverted, invert ? 1 : 0);
    const { x = 0, y = 0, radius = 0, magnification = 1 } = lens ?? {};
    gl.uniform4f(where.lens, x * ratio, y * ratio, radius * ratio, magnification);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  upload(pixels, columns, rows) {
    const { gl } = this;
    const shape = `${columns}x${rows}`;
    if (shape === this.shape) {
      gl.texSubImage2D(
        gl.TEXTURE_2D, 0, 0, 0, columns, rows, gl.RED_INTEGER, gl.UNSIGNED_SHORT, pixels,
      );
    } else {
      gl.texImage2D(
        gl.TEXTURE_2D, 0, gl.R16UI, columns, rows, 0, gl.RED_INTEGER, gl.UNSIGNED_SHORT, pixels,
      );
      this.shape = shape;
    }
    this.pixels = pixels;
  }

  /** Black, and no pixels of a patient kept. */
  clear() {
    const { gl } = this;
    this.pixels = null;
    if (this.lost) return;
    gl.clearColor(0, 0, 0, 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
  }

  close() {
    this.clear();
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }
}
