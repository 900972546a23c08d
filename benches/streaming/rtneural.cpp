// RTNeural's part of `run.sh` beside this file: a layer and a Dense whose sizes are known when this
// is compiled, one timestep after the other.
//
//     rtneural CELL UNITS WEIGHTS INPUT SECONDS
//
// prints the outputs of the first 256 timesteps from zero states, then what `report` in
// src/main.rs reads.

#include <RTNeural/RTNeural.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

using Clock = std::chrono::steady_clock;
using Rows = std::vector<std::vector<float>>;

// The compiler must not leave out what wrote it.
static volatile float sink;

static double nanoseconds(Clock::duration time) {
    return std::chrono::duration<double, std::nano>(time).count();
}

static std::vector<float> read(const char* path) {
    std::ifstream file(path, std::ios::binary);
    std::vector<char> bytes((std::istreambuf_iterator<char>(file)), {});
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
    return values;
}

// The next rows of the weights.
static Rows take(const std::vector<float>& values, size_t& at, size_t rows, size_t columns) {
    Rows taken;
    for (size_t row = 0; row < rows; ++row, at += columns)
        taken.emplace_back(values.begin() + at, values.begin() + at + columns);
    return taken;
}

static void print(const char* what, std::vector<double>& times) {
    std::sort(times.begin(), times.end());
    std::printf("%s %.1f %.1f %zu\n", what, times[times.size() / 2],
                times[times.size() * 99 / 100], times.size());
}

template <typename Model>
static void measure(Model& model, const std::vector<float>& input, double seconds) {
    model.reset();
    std::printf("outputs");
    for (size_t t = 0; t < 256; ++t) std::printf(" %.9g", model.forward(&input[t]));
    std::printf("\n");
    size_t at = 0;
    auto next = [&] { return &input[at = (at + 1) % input.size()]; };
    for (const char* what : {"one", "step"}) {
        const int timesteps = std::string(what) == "one" ? 1 : 64;
        std::vector<double> times;
        times.reserve(1 << 22);
        const auto start = Clock::now();
        while (nanoseconds(Clock::now() - start) < seconds * 1e9 && times.size() < (1 << 22)) {
            for (int call = 0; call < 64; ++call) {
                const auto before = Clock::now();
                float last = 0;
                for (int t = 0; t < timesteps; ++t) last = model.forward(next());
                const auto after = Clock::now();
                sink = last;
                times.push_back(nanoseconds(after - before) / timesteps);
            }
        }
        print(what, times);
    }
}

template <int units>
static void lstm(const std::vector<float>& w, const std::vector<float>& input, double seconds) {
    static RTNeural::ModelT<float, 1, 1, RTNeural::LSTMLayerT<float, 1, units>,
                            RTNeural::DenseT<float, units, 1>>
        model;
    size_t at = 0;
    auto& layer = model.template get<0>();
    layer.setWVals(take(w, at, 1, 4 * units));
    layer.setUVals(take(w, at, units, 4 * units));
    layer.setBVals(take(w, at, 1, 4 * units)[0]);
    auto& dense = model.template get<1>();
    dense.setWeights(take(w, at, 1, units));
    dense.setBias(take(w, at, 1, 1)[0].data());
    measure(model, input, seconds);
}

template <int units>
static void gru(const std::vector<float>& w, const std::vector<float>& input, double seconds) {
    static RTNeural::ModelT<float, 1, 1, RTNeural::GRULayerT<float, 1, units>,
                            RTNeural::DenseT<float, units, 1>>
        model;
    size_t at = 0;
    auto& layer = model.template get<0>();
    layer.setWVals(take(w, at, 1, 3 * units));
    layer.setUVals(take(w, at, units, 3 * units));
    layer.setBVals(take(w, at, 2, 3 * units));
    auto& dense = model.template get<1>();
    dense.setWeights(take(w, at, 1, units));
    dense.setBias(take(w, at, 1, 1)[0].data());
    measure(model, input, seconds);
}

template <int units>
static bool run(const std::string& cell, int wanted, const std::vector<float>& w,
                const std::vector<float>& input, double seconds) {
    if (wanted != units) return false;
    cell == "lstm" ? lstm<units>(w, input, seconds) : gru<units>(w, input, seconds);
    return true;
}

int main(int count, char** arguments) {
    if (count != 6) return 2;
    const std::string cell = arguments[1];
    const int units = std::stoi(arguments[2]);
    const auto w = read(arguments[3]), input = read(arguments[4]);
    const double seconds = std::stod(arguments[5]);
    const bool known = run<8>(cell, units, w, input, seconds)
        || run<16>(cell, units, w, input, seconds) || run<40>(cell, units, w, input, seconds)
        || run<64>(cell, units, w, input, seconds) || run<128>(cell, units, w, input, seconds)
        || run<256>(cell, units, w, input, seconds);
    return known ? 0 : 2;
}
