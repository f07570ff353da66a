# CMake toolchain: cmake -DCMAKE_TOOLCHAIN_FILE=THIS ... JACINTH_STATIC=ON makes static programs.
set(CMAKE_SYSTEM_NAME Fuchsia)
set(CMAKE_SYSTEM_PROCESSOR x86_64)

get_filename_component(_jacinth_sdk "${CMAKE_CURRENT_LIST_FILE}" DIRECTORY)
option(JACINTH_STATIC "Programs carry their libraries" OFF)
# What a try_compile project must know, too.
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES JACINTH_STATIC)
if(JACINTH_STATIC)
  set(_jacinth_config "${_jacinth_sdk}/jacinth-static.cfg")
else()
  set(_jacinth_config "${_jacinth_sdk}/jacinth.cfg")
endif()

find_program(CMAKE_C_COMPILER NAMES clang-19 clang REQUIRED)
find_program(CMAKE_CXX_COMPILER NAMES clang++-19 clang++ REQUIRED)
set(CMAKE_ASM_COMPILER "${CMAKE_C_COMPILER}")
set(CMAKE_C_FLAGS_INIT "--config=${_jacinth_config}")
set(CMAKE_CXX_FLAGS_INIT "--config=${_jacinth_config} -fno-exceptions -fno-rtti")
set(CMAKE_ASM_FLAGS_INIT "--config=${_jacinth_config}")

# Headers and libraries are the SDK's, programs that a build runs are the host's.
set(CMAKE_FIND_ROOT_PATH "${_jacinth_sdk}/sysroot")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_LIBDIR} "${_jacinth_sdk}/sysroot/lib/pkgconfig")
set(ENV{PKG_CONFIG_SYSROOT_DIR} "")

# jacinth_fidl(TARGET NAME FILE...): the library TARGET with the C that NAME's .fidl files compile to.
function(jacinth_fidl target name)
  find_program(JACINTH_PYTHON NAMES python3 REQUIRED)
  set(_out "${CMAKE_CURRENT_BINARY_DIR}/${target}.fidl")
  set(_files "")
  foreach(_file IN LISTS ARGN)
    get_filename_component(_file "${_file}" ABSOLUTE)
    list(APPEND _files "${_file}")
  endforeach()
  add_custom_command(
    OUTPUT "${_out}/include/fidl/${name}.h" "${_out}/${name}.c"
    COMMAND "${JACINTH_PYTHON}" "${JACINTH_SDK}/tools/fidlgen/main.py" --out "${_out}" ${_files}
    DEPENDS ${_files}
    VERBATIM)
  add_library(${target} STATIC "${_out}/${name}.c" "${_out}/include/fidl/${name}.h")
  target_include_directories(${target} PUBLIC "${_out}/include")
  target_compile_features(${target} PUBLIC c_std_23)
  target_link_libraries(${target} PUBLIC fidl)
endfunction()
set(JACINTH_SDK "${_jacinth_sdk}" CACHE INTERNAL "The SDK's folder")
