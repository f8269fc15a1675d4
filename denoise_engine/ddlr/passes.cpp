// The passes of a dDLR between its convolutions, each one sweep through memory.
//
// Loaded by compiled.py. Layers are bfloat16, channels last: (slices, rows, columns, 48), with
// rows and columns rounded up and the room below and to the right zero, as the convolutions'
// zero padding beyond the windows demands. Channel i is component i + 1 of the 7 x 7 DCT; the
// local mean, component 0, is kept apart in float32. Rows are independent of each other: the result
// is the same whatever the number of threads.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

constexpr int block = 7;
constexpr int components = block * block;
constexpr int channels = components - 1;
constexpr int margin = block - 1;

struct Shape {
    std::int64_t slices, rows, columns;       // windows
    std::int64_t roomy_rows, roomy_columns;   // of a layer
};

inline float widen(std::uint16_t bits) {
    const std::uint32_t word = static_cast<std::uint32_t>(bits) << 16;
    float value;
    std::memcpy(&value, &word, sizeof value);
    return value;
}

// To the nearest, ties to even. Not a number never gets here: images are checked before.
inline std::uint16_t narrow(float value) {
    std::uint32_t word;
    std::memcpy(&word, &value, sizeof word);
    word += 0x7fffu + ((word >> 16) & 1u);
    return static_cast<std::uint16_t>(word >> 16);
}

inline float shrink(float value, float threshold) {
    float clipped = value < -threshold ? -threshold : value;
    clipped = clipped > threshold ? threshold : clipped;
    return value - clipped;
}

// The one-dimensional basis, once for each channel: along the rows and along the columns.
struct Basis {
    float down[block][channels];
    float across[block][channels];

    Basis(const float* rows, const float* scale) {
        for (int k = 0; k < block; ++k)
            for (int i = 0; i < channels; ++i) {
                down[k][i] = rows[(i + 1) / block * block + k];
                across[k][i] = rows[(i + 1) % block * block + k] * scale[i];
            }
    }
};

inline void clear_room(std::uint16_t* line, const Shape& s) {
    std::memset(line + s.columns * channels, 0,
                sizeof(std::uint16_t) * (s.roomy_columns - s.columns) * channels);
}

}  // namespace

extern "C" {

// Image, reflected by 6 → shrunk components in units of `1 / scale`, and the mean of each window.
// `level` is a threshold for each window, or null where all are 1.
void analyse(const float* image, const float* basis, const float* scale, const float* level,
             std::uint16_t* layer, float* mean, const Shape* shape) {
    const Shape s = *shape;
    const Basis b(basis, scale);
    const std::int64_t width = s.columns + margin;
#pragma omp parallel
    {
        std::vector<float> sums(width * channels), plain(width);
#pragma omp for schedule(static)
        for (std::int64_t k = 0; k < s.slices * s.roomy_rows; ++k) {
            const std::int64_t slice = k / s.roomy_rows, row = k % s.roomy_rows;
            std::uint16_t* line = layer + k * s.roomy_columns * channels;
            if (row >= s.rows) {
                std::memset(line, 0, sizeof *line * s.roomy_columns * channels);
                continue;
            }
            const float* first = image + (slice * (s.rows + margin) + row) * width;
            for (std::int64_t x = 0; x < width; ++x) {
                float* sum = &sums[x * channels];
                float total = 0;
                for (int i = 0; i < channels; ++i) sum[i] = 0;
                for (int d = 0; d < block; ++d) {
                    const float value = first[d * width + x];
                    total += value;
                    for (int i = 0; i < channels; ++i) sum[i] += b.down[d][i] * value;
                }
                plain[x] = total;
            }
            const std::int64_t window = (slice * s.rows + row) * s.columns;
            for (std::int64_t x = 0; x < s.columns; ++x) {
                float value[channels] = {};
                float total = 0;
                for (int d = 0; d < block; ++d) {
                    const float* sum = &sums[(x + d) * channels];
                    total += plain[x + d];
                    for (int i = 0; i < channels; ++i) value[i] += b.across[d][i] * sum[i];
                }
                const float threshold = level ? level[window + x] : 1.0f;
                std::uint16_t* to = line + x * channels;
                for (int i = 0; i < channels; ++i) to[i] = narrow(shrink(value[i], threshold));
                mean[window + x] = total / block;
            }
            clear_room(line, s);
        }
    }
}

// Soft shrinkage in place; what the convolution wrote into the room goes back to zero.
void shrink_layer(std::uint16_t* layer, const float* level, const Shape* shape) {
    const Shape s = *shape;
#pragma omp parallel for schedule(static)
    for (std::int64_t k = 0; k < s.slices * s.roomy_rows; ++k) {
        const std::int64_t slice = k / s.roomy_rows, row = k % s.roomy_rows;
        std::uint16_t* line = layer + k * s.roomy_columns * channels;
        if (row >= s.rows) {
            std::memset(line, 0, sizeof *line * s.roomy_columns * channels);
            continue;
        }
        if (level) {
            const float* thresholds = level + (slice * s.rows + row) * s.columns;
            for (std::int64_t x = 0; x < s.columns; ++x) {
                std::uint16_t* at = line + x * channels;
                const float threshold = thresholds[x];
                for (int i = 0; i < channels; ++i) at[i] = narrow(shrink(widen(at[i]), threshold));
            }
        } else {
            for (std::int64_t i = 0; i < s.columns * channels; ++i)
                line[i] = narrow(shrink(widen(line[i]), 1.0f));
        }
        clear_room(line, s);
    }
}

// The adjoint: layer in units of `1 / scale` and means → image without the reflected border.
void synthesise(const std::uint16_t* layer, const float* mean, const float* basis,
                const float* scale, float* image, const Shape* shape) {
    const Shape s = *shape;
    const Basis b(basis, scale);
    const std::int64_t rows = s.rows - margin, columns = s.columns - margin;
#pragma omp parallel
    {
        std::vector<float> sums(s.columns * channels), plain(s.columns);
#pragma omp for schedule(static)
        for (std::int64_t k = 0; k < s.slices * rows; ++k) {
            const std::int64_t slice = k / rows, row = k % rows;
            // The windows over a pixel begin up to 6 rows above it; `d` counts from the last one.
            for (std::int64_t x = 0; x < s.columns; ++x) {
                float sum[channels] = {};
                float total = 0;
                for (int d = 0; d < block; ++d) {
                    const std::int64_t line = row + margin - d;
                    const std::uint16_t* from =
                        layer + ((slice * s.roomy_rows + line) * s.roomy_columns + x) * channels;
                    total += mean[(slice * s.rows + line) * s.columns + x];
                    for (int i = 0; i < channels; ++i) sum[i] += b.down[d][i] * widen(from[i]);
                }
                std::memcpy(&sums[x * channels], sum, sizeof sum);
                plain[x] = total;
            }
            float* line = image + k * columns;
            for (std::int64_t x = 0; x < columns; ++x) {
                float part[channels] = {};
                float total = 0;
                for (int d = 0; d < block; ++d) {
                    const float* sum = &sums[(x + margin - d) * channels];
                    total += plain[x + margin - d];
                    for (int i = 0; i < channels; ++i) part[i] += b.across[d][i] * sum[i];
                }
                float detail = 0;
#pragma omp simd reduction(+ : detail)
                for (int i = 0; i < channels; ++i) detail += part[i];
                line[x] = (detail + total / block) / components;
            }
        }
    }
}

}  // extern "C"
