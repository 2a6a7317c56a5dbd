// RUN: headrace-opt %s --verify-roundtrip | FileCheck %s
// RUN: headrace-opt %s --mlir-print-op-generic | headrace-opt | FileCheck %s

// CHECK: hr.weight @w : tensor<4x8xf32>
hr.weight @w : tensor<4x8xf32>
hr.weight @"l0.w" : tensor<8xf32>
hr.weight @"l1.w" : tensor<8xf32>
// CHECK: hr.state @cache : tensor<16x8xf32>
hr.state @cache : tensor<16x8xf32>
// CHECK: hr.state @warm : tensor<4x8xf32> initial(@w)
hr.state @warm : tensor<4x8xf32> initial(@w)

// CHECK-LABEL: func.func @tensors
func.func @tensors(%x: tensor<?x8xf32> {hr.dims = [#hr.size<"s0">, #hr.size<"8">], hr.name = "x"},
                   %i: tensor<?xi64> {hr.dims = [#hr.size<"s0">], hr.name = "i"})
    attributes {hr.symbols = [#hr.symbol<"s0", 1, 16>]} {
  // CHECK: hr.size <"2 * s0 + 1">
  %n = hr.size #hr.size<"2 * s0 + 1">
  // CHECK: hr.check %{{.+}}, %{{.+}} else %{{.+}} what "x" message "zero" : f32
  %yes = arith.constant false
  %number = arith.constant 1.0 : f32
  %checked = hr.check %yes, %number else %number what "x" message "zero" : f32
  // CHECK: hr.check %{{.+}}, %{{.+}} else %{{.+}} what "x" message "class" range %{{.+}}, %{{.+}} : i64
  %class = arith.constant 3 : i64
  %ranged = hr.check %yes, %class else %class what "x" message "class" range %class, %class : i64
  // CHECK: hr.constant [@w] : tensor<4x8xf32>
  %w = hr.constant [@w] : tensor<4x8xf32>
  // CHECK: hr.read_state [@cache] : tensor<16x8xf32>
  %c = hr.read_state [@cache] : tensor<16x8xf32>
  // CHECK: hr.reshape %{{.+}} to [#hr.size<"s0">, #hr.size<"2">, #hr.size<"4">] : tensor<?x8xf32> to tensor<?x2x4xf32>
  %r = hr.reshape %x to [#hr.size<"s0">, #hr.size<"2">, #hr.size<"4">] : tensor<?x8xf32> to tensor<?x2x4xf32>
  // CHECK: hr.view %{{.+}} at [#hr.size<"0">, #hr.size<"1">] map
  %v = hr.view %x at [#hr.size<"0">, #hr.size<"1">] map affine_map<(d0, d1) -> (d1, d0 * 2)>
      dims [#hr.size<"3">, #hr.size<"s0">] : tensor<?x8xf32> to tensor<3x?xf32>
  // CHECK: hr.gather %{{.+}}[%{{.+}}] map {{.*}} source_dims [0, -1] {{.*}} what "embedding" wrap
  %g = hr.gather %w[%i] map affine_map<(d0, d1) -> (0, d1)> indices [affine_map<(d0, d1) -> (d0)>] source_dims [0, -1]
      dims [#hr.size<"s0">, #hr.size<"8">] what "embedding" wrap : tensor<4x8xf32>, (tensor<?xi64>) -> tensor<?x8xf32>
  // CHECK: hr.scatter %{{.+}} into %{{.+}}[%{{.+}}] combine replace
  %s = hr.scatter %g into %c[%i] combine replace map affine_map<(d0, d1) -> (0, d1)>
      indices [affine_map<(d0, d1) -> (d0)>] source_dims [0, -1] what "index_copy"
      : tensor<?x8xf32>, tensor<16x8xf32>, (tensor<?xi64>) -> tensor<16x8xf32>
  // CHECK: hr.update %{{.+}} with %{{.+}} at
  %u = hr.update %s with %w at [#hr.size<"4">, #hr.size<"0">] map affine_map<(d0, d1) -> (d0, d1)>
      : tensor<16x8xf32>, tensor<4x8xf32>
  // CHECK: hr.write_state %{{.+}}, [@cache] : tensor<16x8xf32>
  hr.write_state %u, [@cache] : tensor<16x8xf32>
  // CHECK: hr.concat dim 0(%{{.+}}, %{{.+}}) dims
  %k = hr.concat dim 0 (%x, %g) dims [#hr.size<"2 * s0">, #hr.size<"8">] : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  // CHECK: hr.pad %{{.+}} low
  %p = hr.pad %w low [#hr.size<"1">, #hr.size<"0">] high [#hr.size<"1">, #hr.size<"0">] value 0.0 : f32
      dims [#hr.size<"6">, #hr.size<"8">] : tensor<4x8xf32> to tensor<6x8xf32>
  // CHECK: hr.scan %{{.+}} dim 1 combine add
  %a = hr.scan %w dim 1 combine add : tensor<4x8xf32> -> tensor<4x8xf32>
  // CHECK: hr.sort %{{.+}} dim 0 : tensor<4x8xf32> -> tensor<4x8xi64>
  %so = hr.sort %w dim 0 : tensor<4x8xf32> -> tensor<4x8xi64>
  // CHECK: hr.sort %{{.+}} dim 1 descending : tensor<4x8xf32> -> tensor<4x8xi64>
  %sd = hr.sort %w dim 1 descending : tensor<4x8xf32> -> tensor<4x8xi64>
  // CHECK: hr.softmax_sum
  %o = hr.softmax_sum %w, %w maps [affine_map<(i, j, d) -> (i, j)>, affine_map<(i, j, d) -> (d, j)>, affine_map<(i, j, d) -> (i, d)>]
      dims [#hr.size<"4">, #hr.size<"4">] : tensor<4x8xf32>, tensor<4x8xf32> -> tensor<4x4xf32>
  // CHECK: hr.softmax_sum {{.+}} zero_masked_rows weights bf16 : tensor
  %on = hr.softmax_sum %w, %w maps [affine_map<(i, j, d) -> (i, j)>, affine_map<(i, j, d) -> (d, j)>, affine_map<(i, j, d) -> (i, d)>]
      dims [#hr.size<"4">, #hr.size<"4">] zero_masked_rows weights bf16 : tensor<4x8xf32>, tensor<4x8xf32> -> tensor<4x4xf32>
  return
}

// CHECK-LABEL: func.func @layers
func.func @layers(%x: tensor<8xf32> {hr.dims = [#hr.size<"8">], hr.name = "x"}) {
  // CHECK: hr.repeat 2(%{{.+}})
  %y = hr.repeat 2 (%x) : (tensor<8xf32>) -> tensor<8xf32> {
  ^bb0(%i: index, %c: tensor<8xf32>):
    // CHECK: hr.constant [@l0.w, @l1.w][%{{.+}}]
    %w = hr.constant [@"l0.w", @"l1.w"][%i] : tensor<8xf32>
    hr.yield %w : tensor<8xf32>
  }
  return
}

// CHECK-LABEL: func.func @buffers
func.func @buffers() {
  // CHECK: hr.buffer  input number 0 dims
  %x = hr.buffer input number 0 dims [#hr.size<"8">] : !hr.buffer<f32>
  // CHECK: hr.buffer  const of [@l0.w, @l1.w] slots 2
  %w = hr.buffer const of [@"l0.w", @"l1.w"] slots 2 dims [#hr.size<"8">] : !hr.buffer<f32>
  %t = hr.buffer temp slots 2 dims [#hr.size<"8">] : !hr.buffer<f32>
  // CHECK: hr.loop 2
  hr.loop 2 {
    // CHECK: hr.run @stage grid
    hr.run @stage grid [#hr.size<"4">] (%t, %w, %t) access [#hr<access read>, #hr<access read>, #hr<access write>]
        slots [affine_map<(i) -> (i mod 2)>, affine_map<(i) -> (i)>, affine_map<(i) -> ((i + 1) mod 2)>]
        footprints [#hr.footprint<(d0) -> (d0 * 2), [#hr.size<"2">]>, #hr.footprint<(d0) -> (), []>, #hr.footprint<(d0) -> (d0 * 2), [#hr.size<"2">]>]
        symbols [] scratch 128 flops <"64"> : !hr.buffer<f32>, !hr.buffer<f32>, !hr.buffer<f32>
  }
  return
}

// CHECK-LABEL: func @atoms
func.func @atoms(%x: memref<?xi16>, %z: memref<?xf32>, %i: index,
                 %a: vector<32xbf16>, %c: vector<16xf32>) -> vector<16xf32> {
  // CHECK: hr.fragment_zero : <16x16xf32>
  %zero = hr.fragment_zero : !hr.fragment<16x16xf32>
  // CHECK: hr.fragment_load %{{.+}}[%{{.+}}], %{{.+}} : memref<?xi16>, <16x32xbf16>
  %f = hr.fragment_load %x[%i], %i : memref<?xi16>, !hr.fragment<16x32xbf16>
  // CHECK: hr.fragment_multiply "x86.tdpbf16ps"
  %s = hr.fragment_multiply "x86.tdpbf16ps" %f, %f, %zero : !hr.fragment<16x32xbf16>, !hr.fragment<16x32xbf16>, !hr.fragment<16x16xf32>
  // CHECK: hr.fragment_store %{{.+}}, %{{.+}}[%{{.+}}], %{{.+}} : <16x16xf32>, memref<?xf32>
  hr.fragment_store %s, %z[%i], %i : !hr.fragment<16x16xf32>, memref<?xf32>
  // CHECK: hr.group_dot "x86.vdpbf16ps"
  %d = hr.group_dot "x86.vdpbf16ps" %a, %a, %c : vector<32xbf16>, vector<16xf32>
  // CHECK: hr.group_round "x86.vdpbf16ps" %{{.+}}, %{{.+}} : vector<16xf32>, vector<16xf32> to vector<32xbf16>
  %r = hr.group_round "x86.vdpbf16ps" %c, %d : vector<16xf32>, vector<16xf32> to vector<32xbf16>
  return %d : vector<16xf32>
}
