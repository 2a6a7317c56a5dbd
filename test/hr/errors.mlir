// RUN: headrace-opt %s --split-input-file --verify-diagnostics

// expected-error @+1 {{size '1 + s0' is not canonical, expected 's0 + 1'}}
func.func @size() attributes {x = #hr.size<"1 + s0">} { return }

// -----

// expected-error @+1 {{invalid size 's0 +'}}
func.func @size() attributes {x = #hr.size<"s0 +">} { return }

// -----

// expected-error @+1 {{symbol 's0' has the empty range [4, 2]}}
func.func @symbol() attributes {x = #hr.symbol<"s0", 4, 2>} { return }

// -----

func.func @weight() {
  // expected-error @+1 {{no hr.weight is named @w}}
  %w = hr.constant [@w] : tensor<4xf32>
  return
}

// -----

hr.weight @w : tensor<4xf32>
func.func @weight() {
  // expected-error @+1 {{@w has type 'tensor<4xf32>' but 'tensor<5xf32>' is expected}}
  %w = hr.constant [@w] : tensor<5xf32>
  return
}

// -----

hr.weight @a : tensor<4xf32>
hr.weight @b : tensor<4xf32>
func.func @stack() {
  // expected-error @+1 {{expected an index to select one of 2 symbols}}
  %w = hr.constant [@a, @b] : tensor<4xf32>
  return
}

// -----

func.func @reshape(%x: tensor<4xf32>) {
  // expected-error @+1 {{expected 4 elements but got 6}}
  %0 = hr.reshape %x to [#hr.size<"2">, #hr.size<"3">] : tensor<4xf32> to tensor<2x3xf32>
  return
}

// -----

func.func @reshape(%x: tensor<4xf32>) {
  // expected-error @+1 {{dimension 0 of 'tensor<2x2xf32>' does not match size '4'}}
  %0 = hr.reshape %x to [#hr.size<"4">, #hr.size<"1">] : tensor<4xf32> to tensor<2x2xf32>
  return
}

// -----

func.func @view(%x: tensor<4xf32>) {
  // expected-error @+1 {{expected 1 offsets but got 2}}
  %0 = hr.view %x at [#hr.size<"0">, #hr.size<"0">] map affine_map<(d0) -> (d0)> dims [#hr.size<"4">] : tensor<4xf32> to tensor<4xf32>
  return
}

// -----

func.func @view(%x: tensor<4xf32>) {
  // expected-error @+1 {{expected linear expressions without a constant}}
  %0 = hr.view %x at [#hr.size<"0">] map affine_map<(d0) -> (d0 + 1)> dims [#hr.size<"3">] : tensor<4xf32> to tensor<3xf32>
  return
}

// -----

func.func @check(%holds: i1, %x: i64) {
  // expected-error @+1 {{expected a number and its bound but got 1 numbers}}
  %0 = hr.check %holds, %x else %x what "x" message "class" range %x : i64
  return
}

// -----

func.func @gather(%x: tensor<4x8xf32>, %i: tensor<2xi64>) {
  // expected-error @+1 {{source_dims names index 1 of 1}}
  %0 = hr.gather %x[%i] map affine_map<(d0, d1) -> (0, d1)> indices [affine_map<(d0, d1) -> (d0)>] source_dims [1, -1]
      dims [#hr.size<"2">, #hr.size<"8">] what "x" : tensor<4x8xf32>, (tensor<2xi64>) -> tensor<2x8xf32>
  return
}

// -----

func.func @gather(%x: tensor<4xf32>, %i: tensor<2xf32>) {
  // expected-error @+1 {{expected integer indices but got 'tensor<2xf32>'}}
  %0 = hr.gather %x[%i] map affine_map<(d0) -> (0)> indices [affine_map<(d0) -> (d0)>] source_dims [0]
      dims [#hr.size<"2">] what "x" : tensor<4xf32>, (tensor<2xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @softmax_sum(%e: tensor<4x8xf32>, %v: tensor<8x2xf32>) {
  // expected-error @+1 {{expected one streamed dimension, in logits and value but not in the result, but got 0}}
  %0 = hr.softmax_sum %e, %v maps [affine_map<(i, j, d) -> (i, j)>, affine_map<(i, j, d) -> (j, d)>, affine_map<(i, j, d) -> (i, j, d)>]
      dims [#hr.size<"4">, #hr.size<"8">, #hr.size<"2">] : tensor<4x8xf32>, tensor<8x2xf32> -> tensor<4x8x2xf32>
  return
}

// -----

func.func @softmax_sum_weights(%e: tensor<4x8xf32>, %v: tensor<8x2xf32>) {
  // expected-error @+1 {{expected weights of a float type but got 'i16'}}
  %0 = hr.softmax_sum %e, %v maps [affine_map<(i, j, d) -> (i, j)>, affine_map<(i, j, d) -> (j, d)>, affine_map<(i, j, d) -> (i, d)>]
      dims [#hr.size<"4">, #hr.size<"2">] weights i16 : tensor<4x8xf32>, tensor<8x2xf32> -> tensor<4x2xf32>
  return
}

// -----

func.func @repeat(%x: tensor<4xf32>) {
  // expected-error @+1 {{expected an index and 1 carried block arguments but got 1 arguments}}
  %0 = hr.repeat 2 (%x) : (tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%i: index):
    hr.yield %x : tensor<4xf32>
  }
  return
}

// -----

func.func @buffer() {
  // expected-error @+1 {{a number belongs to input and output buffers}}
  %0 = hr.buffer temp number 0 dims [#hr.size<"4">] : !hr.buffer<f32>
  return
}

// -----

func.func @run() {
  %0 = hr.buffer temp dims [#hr.size<"4">] : !hr.buffer<f32>
  // expected-error @+1 {{expected access, slots and footprints for 1 operands but got 1, 0 and 1}}
  hr.run @s grid [#hr.size<"1">] (%0) access [#hr<access read>] slots [] footprints [#hr.footprint<(d0) -> (), []>] symbols [] : !hr.buffer<f32>
  return
}

// -----

func.func @group_dot(%a: vector<24xbf16>, %c: vector<16xf32>) {
  // expected-error @+1 {{expected a whole number of lanes of 'vector<24xbf16>' per lane of 'vector<16xf32>'}}
  %0 = hr.group_dot "x86.vdpbf16ps" %a, %a, %c : vector<24xbf16>, vector<16xf32>
  return
}

// -----

func.func @group_round(%a: vector<16xf32>, %b: vector<8xf32>) {
  // expected-error @+1 {{expected parts of one type that together make 'vector<32xbf16>' but got 'vector<8xf32>'}}
  %0 = hr.group_round "x86.vdpbf16ps" %a, %b : vector<16xf32>, vector<8xf32> to vector<32xbf16>
  return
}

// -----

func.func @sort_type(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{result 'tensor<4x8xf32>' is not of the source's shape with elements i64: 'tensor<4x8xf32>'}}
  %0 = hr.sort %x dim 1 : tensor<4x8xf32> -> tensor<4x8xf32>
  return
}

// -----

func.func @fragment_multiply(%a: !hr.fragment<16x32xbf16>, %b: !hr.fragment<8x32xbf16>, %c: !hr.fragment<16x16xf32>) {
  // expected-error @+1 {{shapes do not multiply: '!hr.fragment<16x32xbf16>' and '!hr.fragment<8x32xbf16>' into '!hr.fragment<16x16xf32>'}}
  %0 = hr.fragment_multiply "x86.tdpbf16ps" %a, %b, %c : !hr.fragment<16x32xbf16>, !hr.fragment<8x32xbf16>, !hr.fragment<16x16xf32>
  return
}

// -----

// expected-error @+1 {{expected rows and columns but got 3 dimensions}}
func.func @fragment_type(%a: !hr.fragment<2x16x32xbf16>) {
  return
}

// -----

func.func @sort_dim(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{dimension 2 is not in [0, 2)}}
  %0 = hr.sort %x dim 2 : tensor<4x8xf32> -> tensor<4x8xi64>
  return
}
