// Runs a fuzz target without libFuzzer: every corpus file as it is, then seeded mutations of the corpus. Gives every
// build a repeatable smoke test of the same targets that the fuzz preset explores for real.
//
//   TARGET [--seed N] [--iterations N] [CORPUS_DIR]
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

std::vector<std::string> LoadCorpus(const std::string& directory) {
  std::vector<std::string> inputs = {""};
  std::error_code error;
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (entry.is_regular_file()) paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return inputs;
}

std::string Mutate(std::string input, const std::vector<std::string>& corpus, std::mt19937_64& random) {
  const auto below = [&](size_t bound) { return bound == 0 ? size_t{0} : static_cast<size_t>(random() % bound); };
  for (size_t rounds = 1 + below(8); rounds > 0; --rounds) {
    const size_t at = below(input.size() + 1);
    switch (below(5)) {
      case 0:
        if (!input.empty()) input[at % input.size()] = static_cast<char>(random());
        break;
      case 1:
        input.insert(at, 1, static_cast<char>(random()));
        break;
      case 2:
        input.erase(at, below(16));
        break;
      case 3: {
        const std::string& other = corpus[below(corpus.size())];
        const size_t from = below(other.size() + 1);
        input.insert(at, other.substr(from, below(64)));
        break;
      }
      default:
        input.insert(at, input.substr(at, below(32)));
    }
  }
  return input;
}

void RunOne(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

}  // namespace

int main(int argc, char** argv) {
  uint64_t seed = 1;
  uint64_t iterations = 2000;
  std::string directory;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--seed" && i + 1 < argc) {
      seed = strtoull(argv[++i], nullptr, 10);
    } else if (argument == "--iterations" && i + 1 < argc) {
      iterations = strtoull(argv[++i], nullptr, 10);
    } else {
      directory = argument;
    }
  }
  const std::vector<std::string> corpus = LoadCorpus(directory);
  for (const std::string& input : corpus) RunOne(input);
  std::mt19937_64 random(seed);
  for (uint64_t i = 0; i < iterations; ++i) RunOne(Mutate(corpus[random() % corpus.size()], corpus, random));
  printf("%zu corpus files, %llu mutations, seed %llu: no crash\n", corpus.size() - 1,
         static_cast<unsigned long long>(iterations), static_cast<unsigned long long>(seed));
  return 0;
}
