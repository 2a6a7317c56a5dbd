// Several threads on one model: each has a context of its own, all share one
// pool of workers, so that the machine is not oversubscribed.
//
//   threads
#include "classifier.h"
#include "headrace/Runtime/headrace.hpp"
#include <cstdio>
#include <thread>
#include <vector>

constexpr int64_t rows = 32, features = 16, classes = 4;

/// The probabilities that `rows` rows get, in a context of this thread's own.
static void classify(const headrace::Model &model, const headrace::Pool &pool,
                     const std::vector<float> &in, std::vector<float> &out) {
  headrace::Context context(model, &pool);
  for (int repeat = 0; repeat < 100; ++repeat)
    context.run({headrace::tensor(in.data(), {rows, features})},
                {headrace::tensor(out.data(), {rows, classes})});
}

int main() try {
  headrace::Model model(hr_model_classifier);
  headrace::Pool pool(model);

  std::vector<float> in(rows * features);
  for (size_t i = 0; i < in.size(); ++i)
    in[i] = static_cast<float>(i % 7) / 7;
  std::vector<std::vector<float>> out(4, std::vector<float>(rows * classes));

  // An exception must not leave a thread: each keeps its own message.
  std::vector<std::string> errors(out.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < out.size(); ++i)
    threads.emplace_back([&, i] {
      try {
        classify(model, pool, in, out[i]);
      } catch (const headrace::Error &error) {
        errors[i] = error.what();
      }
    });
  for (std::thread &thread : threads)
    thread.join();

  for (const std::string &error : errors)
    if (!error.empty())
      throw headrace::Error(HR_ERROR_SYSTEM, error);
  for (const std::vector<float> &other : out)
    if (other != out[0])
      throw headrace::Error(HR_ERROR_DATA, "the threads disagree");
  std::printf("%zu threads agree: %.6f %.6f %.6f %.6f\n", out.size(), out[0][0],
              out[0][1], out[0][2], out[0][3]);
} catch (const headrace::Error &error) {
  std::fprintf(stderr, "error %d: %s\n", error.code, error.what());
  return 1;
}
