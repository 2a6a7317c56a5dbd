//===- Npz.cpp - Arrays in .npz files -------------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Npz.h"
#include <cstdlib>
#include <cstring>
#include <memory>
#include <zip.h>

using namespace headrace;

int64_t Array::getNumElements() const {
  int64_t count = 1;
  for (int64_t size : shape)
    count *= size;
  return count;
}

/// The text after `'key':` in the header of an .npy file, or null.
static const char *findKey(const std::string &header, const char *key) {
  std::string quoted = std::string("'") + key + "':";
  size_t at = header.find(quoted);
  if (at == std::string::npos)
    return nullptr;
  const char *text = header.c_str() + at + quoted.size();
  while (*text == ' ')
    ++text;
  return text;
}

/// Parses the bytes of an .npy file.
static bool parseNpy(const std::vector<char> &file, Array &array,
                     std::string &error) {
  if (file.size() < 10 || std::memcmp(file.data(), "\x93NUMPY", 6) != 0) {
    error = "not an .npy file";
    return false;
  }
  auto byte = [&](size_t i) { return size_t(uint8_t(file[i])); };
  size_t start = file[6] == 1 ? 10 : 12;
  if (file.size() < start) {
    error = "truncated header";
    return false;
  }
  size_t length = byte(8) | byte(9) << 8;
  if (start == 12)
    length |= byte(10) << 16 | byte(11) << 24;
  if (length > file.size() - start) {
    error = "truncated header";
    return false;
  }
  std::string header(file.data() + start, length);
  const char *descr = findKey(header, "descr");
  const char *order = findKey(header, "fortran_order");
  const char *shape = findKey(header, "shape");
  if (!descr || !order || !shape || *descr != '\'' || *shape != '(') {
    error = "unexpected header";
    return false;
  }
  const char *end = std::strchr(descr + 1, '\'');
  std::string type(descr + 1, end ? size_t(end - descr - 1) : 0);
  if (type.size() < 3 || type[0] == '>') {
    error = "dtype '" + type + "' is not supported";
    return false;
  }
  array.type = type.substr(1);
  int64_t width = std::atoll(array.type.c_str() + 1);
  if (width < 1 || width > 8) {
    error = "dtype '" + type + "' is not supported";
    return false;
  }
  int64_t elements = 1;
  for (const char *p = shape + 1; *p && *p != ')';) {
    char *next;
    long long size = std::strtoll(p, &next, 10);
    if (next == p) {
      ++p;
      continue;
    }
    p = next;
    array.shape.push_back(size);
    if (size < 0 || __builtin_mul_overflow(elements, int64_t(size), &elements)) {
      error = "impossible shape";
      return false;
    }
  }
  size_t have = file.size() - start - length;
  int64_t need;
  if (__builtin_mul_overflow(elements, width, &need) ||
      uint64_t(need) != have) {
    error = "expected " + std::to_string(elements) + " elements of " +
            std::to_string(width) + " bytes but got " + std::to_string(have) +
            " bytes";
    return false;
  }
  array.bytes.resize(have);
  const char *data = file.data() + start + length;
  if (std::strncmp(order, "True", 4) != 0 || array.shape.size() < 2) {
    if (have)
      std::memcpy(array.bytes.data(), data, have);
    return true;
  }
  // Column-major: element i of the result, counted row-major, is at `from`.
  std::vector<int64_t> index(array.shape.size(), 0);
  for (int64_t i = 0; i < elements; ++i) {
    int64_t from = 0;
    for (size_t d = array.shape.size(); d-- > 0;)
      from = from * array.shape[d] + index[d];
    std::memcpy(array.bytes.data() + i * width, data + from * width,
                size_t(width));
    for (size_t d = array.shape.size(); d-- > 0;) {
      if (++index[d] < array.shape[d])
        break;
      index[d] = 0;
    }
  }
  return true;
}

bool headrace::readNpz(const std::string &path,
                       std::map<std::string, Array> &arrays,
                       std::string &error) {
  int code = 0;
  zip_t *archive = zip_open(path.c_str(), ZIP_RDONLY, &code);
  if (!archive) {
    zip_error_t reason;
    zip_error_init_with_code(&reason, code);
    error = "cannot read '" + path + "': " + zip_error_strerror(&reason);
    zip_error_fini(&reason);
    return false;
  }
  bool good = true;
  zip_int64_t entries = zip_get_num_entries(archive, 0);
  for (zip_int64_t i = 0; good && i < entries; ++i) {
    zip_stat_t status;
    if (zip_stat_index(archive, zip_uint64_t(i), 0, &status) != 0 ||
        !(status.valid & ZIP_STAT_SIZE) || !status.name) {
      error = "cannot read '" + path + "': damaged directory";
      good = false;
      break;
    }
    std::string name = status.name;
    if (name.size() > 4 && name.compare(name.size() - 4, 4, ".npy") == 0)
      name.resize(name.size() - 4);
    zip_file_t *file = zip_fopen_index(archive, zip_uint64_t(i), 0);
    std::vector<char> bytes;
    // Read past the announced size: only then is the CRC looked at.
    char block[1 << 16];
    zip_int64_t count = -1;
    while (file && (count = zip_fread(file, block, sizeof block)) > 0)
      bytes.insert(bytes.end(), block, block + count);
    if (!file || count < 0) {
      error = "cannot read '" + name + "' of '" + path +
              "': " + (file ? zip_file_strerror(file) : zip_strerror(archive));
      good = false;
    } else if (std::string why; !parseNpy(bytes, arrays[name], why)) {
      error = "cannot read '" + name + "' of '" + path + "': " + why;
      good = false;
    }
    if (file)
      zip_fclose(file);
  }
  zip_discard(archive);
  return good;
}

bool headrace::writeNpz(
    const std::string &path,
    const std::vector<std::pair<std::string, Array>> &arrays,
    std::string &error) {
  // libzip writes to a temporary file of its own and renames it when closed.
  int code = 0;
  zip_t *archive = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code);
  if (!archive) {
    zip_error_t reason;
    zip_error_init_with_code(&reason, code);
    error = "cannot write '" + path + "': " + zip_error_strerror(&reason);
    zip_error_fini(&reason);
    return false;
  }
  std::vector<std::unique_ptr<std::vector<char>>> files;
  for (const auto &[name, array] : arrays) {
    std::string header = "{'descr': '";
    header += array.type == "b1" || array.type == "i1" || array.type == "u1"
                  ? "|"
                  : "<";
    header += array.type + "', 'fortran_order': False, 'shape': (";
    for (int64_t size : array.shape)
      header += std::to_string(size) + ",";
    header += "), }";
    while ((10 + header.size() + 1) % 64)
      header += ' ';
    header += '\n';
    auto file = std::make_unique<std::vector<char>>();
    const char magic[] = "\x93NUMPY\x01";
    file->insert(file->end(), magic, magic + 8);
    file->push_back(char(header.size() & 0xff));
    file->push_back(char(header.size() >> 8));
    file->insert(file->end(), header.begin(), header.end());
    file->insert(file->end(), array.bytes.begin(), array.bytes.end());
    zip_source_t *source =
        zip_source_buffer(archive, file->data(), file->size(), 0);
    zip_int64_t index =
        source ? zip_file_add(archive, (name + ".npy").c_str(), source,
                              ZIP_FL_OVERWRITE | ZIP_FL_ENC_UTF_8)
               : -1;
    if (index < 0 ||
        zip_set_file_compression(archive, zip_uint64_t(index), ZIP_CM_STORE,
                                 0) != 0) {
      error = "cannot write '" + path + "': " + zip_strerror(archive);
      zip_discard(archive);
      return false;
    }
    files.push_back(std::move(file));
  }
  if (zip_close(archive) != 0) {
    error = "cannot write '" + path + "': " + zip_strerror(archive);
    zip_discard(archive);
    return false;
  }
  return true;
}
